import { vi } from 'vitest';

type Listener = (event: { readonly data: unknown }) => void;

/** Lets that many microtasks pass. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await null;
}

/** A browser of several tabs in one process: channels that take a while, and locks. */
export class StubTabs {
  readonly #channels = new Set<StubChannel>();
  readonly #waiting: { readonly tab: number; readonly grant: () => void }[] = [];
  #holder: number | undefined;
  /** Tells the holder that its lock was stolen. */
  #robbed: (() => void) | undefined;
  /** The tab that runs. Everything made meanwhile belongs to it. */
  current = 0;
  readonly dead = new Set<number>();

  /** `delay`: the microtasks that a message takes. */
  constructor(delay: () => number) {
    const post = (from: StubChannel, data: unknown): void => {
      if (this.dead.has(from.tab)) return;
      const copy: unknown = structuredClone(data);
      for (const to of this.#channels) if (to !== from && to.name === from.name) to.receive(copy, delay());
    };
    const open = (name: string): StubChannel => {
      const tab = this.current;
      const channel: StubChannel = new StubChannel(name, tab, {
        post,
        isDead: () => this.dead.has(tab),
        closed: () => this.#channels.delete(channel),
      });
      this.#channels.add(channel);
      return channel;
    };
    vi.stubGlobal(
      'BroadcastChannel',
      // `new` returns the channel.
      function (name: string) {
        return open(name);
      },
    );
    vi.stubGlobal('navigator', { locks: { request: this.#request } });
  }

  /** Lets a tab hear and say nothing any more, and keep its lock. */
  mute(tab: number): void {
    this.dead.add(tab);
  }

  /** Ends a tab as a crash would: it neither sends nor receives any more, and another tab gets its lock. */
  crash(tab: number): void {
    this.dead.add(tab);
    if (this.#holder === tab) this.#release();
  }

  readonly #request = (
    _name: string,
    { signal, steal = false }: { readonly signal?: AbortSignal; readonly steal?: boolean },
    run: () => Promise<void>,
  ): Promise<void> => {
    const tab = this.current;
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        if (this.#holder !== tab) return;
        if (signal?.aborted === true) return this.#release();
        this.#robbed = () => reject(new Error('stolen'));
        run()
          .then(resolve, reject)
          .finally(() => {
            if (this.#holder === tab) this.#release();
          });
      };
      signal?.addEventListener('abort', () => reject(signal.reason));
      if (steal) {
        this.#robbed?.();
        this.#waiting.unshift({ tab, grant });
      } else this.#waiting.push({ tab, grant });
      if (this.#holder === undefined || steal) this.#release();
    });
  };

  #release(): void {
    this.#holder = undefined;
    let next = this.#waiting.shift();
    while (next !== undefined && this.dead.has(next.tab)) next = this.#waiting.shift();
    if (next === undefined) return;
    this.#holder = next.tab;
    void turns(3).then(next.grant);
  }
}

interface ChannelParts {
  readonly post: (from: StubChannel, data: unknown) => void;
  readonly isDead: () => boolean;
  readonly closed: () => void;
}

class StubChannel {
  readonly name: string;
  readonly tab: number;
  readonly #parts: ChannelParts;
  readonly #listeners: Listener[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(name: string, tab: number, parts: ChannelParts) {
    this.name = name;
    this.tab = tab;
    this.#parts = parts;
  }

  addEventListener(_type: 'message', listener: Listener): void {
    this.#listeners.push(listener);
  }

  postMessage(data: unknown): void {
    this.#parts.post(this, data);
  }

  /** Delivers messages in the order in which they were sent, each `delay` microtasks after the one before. */
  receive(data: unknown, delay: number): void {
    this.#last = this.#last
      .then(() => turns(delay))
      .then(() => {
        if (!this.#parts.isDead()) for (const listener of this.#listeners) listener({ data });
      });
  }

  close(): void {
    this.#parts.closed();
  }
}
