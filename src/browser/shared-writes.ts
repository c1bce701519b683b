import { SoloflightError } from '../errors.js';
import { rejection, silenced } from '../flight.js';
import {
  resolveSharedWrites,
  type SharedWrites,
  type SharedWritesOptions,
  type SharedWritesSettings,
  type WritesLike,
} from './shared-writes-options.js';
import { fromAnswer, isMessage, toFailure, type Call, type Message } from './tab-messages.js';
import { whileLeading, type Leadership } from './while-leading.js';

/**
 * One `WriteBehind` for all tabs of an origin: it lives in the tab that leads, and the others hand their writes over.
 *
 * So one tab delivers, the writes of a key keep their order whichever tab they come from, and every tab reads what any of
 * them wrote. When the leading tab ends, however it ends, another one opens the queue and goes on; calls that were not
 * answered are made again there, so that a write may be accepted twice, by the tab that ended and by the next. Calls wait
 * for as long as no tab leads. Values must be what the structured clone algorithm takes.
 *
 * @see {@link whileLeading} for what holds where there are no Web Locks.
 * @throws TypeError for an option that makes no sense.
 */
export function sharedWrites<V, S>(options: SharedWritesOptions<V, S>): SharedWrites<V, S> {
  return new TabWrites(resolveSharedWrites(options));
}

/** A call that was not answered yet. */
interface Ask {
  readonly call: Call;
  readonly settle: (result: Promise<unknown>) => void;
}

/** Also the code of a `WriteBehind` that is closed. */
const CLOSED = 'SOLOFLIGHT_WRITES_CLOSED';

/** So many answers are kept, for calls that come again because they crossed with the news of who leads. */
const MOST_ANSWERS = 1_000;

class TabWrites<V, S> implements SharedWrites<V, S> {
  readonly #open: () => WritesLike<V, S>;
  readonly #channel: BroadcastChannel;
  readonly #leadership: Leadership;
  readonly #tab: string;
  /** Calls of this tab, by id. */
  readonly #asks = new Map<string, Ask>();
  /** What this tab, leading, was asked by others: by id. */
  readonly #answers = new Map<string, Promise<Message>>();
  #calls = 0;
  /** While this tab leads. */
  #own: WritesLike<V, S> | undefined;
  #flushAtEnd = true;
  #closing: Promise<void> | undefined;

  constructor({ name, open, clock }: SharedWritesSettings<V, S>) {
    this.#open = open;
    this.#tab = `${clock.random()}`.slice(2);
    this.#channel = new BroadcastChannel(`soloflight:${name}`);
    this.#channel.addEventListener('message', ({ data }) => {
      if (isMessage(data)) this.#hear(data);
    });
    this.#leadership = whileLeading(name, ({ signal }) => this.#lead(signal), { clock });
  }

  get leading(): boolean {
    return this.#own !== undefined;
  }

  put(key: string, value: V): Promise<void> {
    return this.#call(['put', key, value]);
  }

  delete(key: string): Promise<void> {
    return this.#call(['delete', key]);
  }

  read(key: string): Promise<V | undefined> {
    return this.#call(['read', key]);
  }

  flush(): Promise<void> {
    return this.#call(['flush']);
  }

  status(): Promise<S> {
    return this.#call(['status']);
  }

  close(options: { readonly flush?: boolean } = {}): Promise<void> {
    this.#flushAtEnd = options.flush ?? true;
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#leadership.close();
    this.#channel.close();
    for (const { settle } of this.#asks.values()) settle(rejection(closed()));
  }

  #call<T>(call: Call): Promise<T> {
    if (this.#closing !== undefined) return rejection(closed());
    if (this.#own !== undefined) return perform<V, S, T>(this.#own, call);
    this.#calls += 1;
    const id = `${this.#tab}-${this.#calls}`;
    const asked = new Promise<unknown>((resolve) => {
      const settle = (result: Promise<unknown>): void => {
        this.#asks.delete(id);
        resolve(result);
      };
      this.#asks.set(id, { call, settle });
      this.#ask(id, call);
    });
    return silenced(asked as Promise<T>);
  }

  #ask(id: string, call: Call): void {
    try {
      this.#post({ kind: 'ask', id, call });
    } catch (error) {
      // It can't be cloned.
      this.#asks.get(id)?.settle(rejection(error));
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const writes = this.#open();
    this.#own = writes;
    try {
      // What was asked while nobody led is asked again.
      this.#post({ kind: 'leading' });
      for (const { call, settle } of this.#asks.values()) settle(perform(writes, call));
      if (!signal.aborted) await new Promise<unknown>((resolve) => signal.addEventListener('abort', resolve));
    } finally {
      this.#own = undefined;
      // Where the lead was lost, another tab delivers already.
      await writes.close({ flush: this.#closing !== undefined && this.#flushAtEnd });
      await Promise.all(this.#answers.values());
      this.#answers.clear();
    }
  }

  #hear(message: Message): void {
    switch (message.kind) {
      case 'leading':
        for (const [id, { call }] of this.#asks) this.#ask(id, call);
        return;
      case 'answer':
        this.#asks.get(message.id)?.settle(fromAnswer(message));
        return;
      case 'ask':
        if (this.#own !== undefined) this.#answer(message.id, message.call, this.#own);
    }
  }

  #answer(id: string, call: Call, writes: WritesLike<V, S>): void {
    const answer = this.#answers.get(id) ?? answerTo(id, perform(writes, call));
    this.#answers.set(id, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MOST_ANSWERS) break;
      this.#answers.delete(oldest);
    }
    void answer.then((message) => this.#send(id, message));
  }

  #send(id: string, message: Message): void {
    // The tab that leads next will be asked again.
    if (message.kind === 'answer' && message.failure?.code === CLOSED) return;
    try {
      this.#post(message);
    } catch (error) {
      this.#post({ kind: 'answer', id, failure: toFailure(error) });
    }
  }

  #post(message: Message): void {
    this.#channel.postMessage(message);
  }
}

async function perform<V, S, T>(writes: WritesLike<V, S>, [method, ...given]: Call): Promise<T> {
  return (await (writes[method] as (...given: unknown[]) => unknown).apply(writes, given)) as T;
}

async function answerTo(id: string, result: Promise<unknown>): Promise<Message> {
  try {
    return { kind: 'answer', id, result: await result };
  } catch (error) {
    return { kind: 'answer', id, failure: toFailure(error) };
  }
}

function closed(): SoloflightError {
  return new SoloflightError(CLOSED, 'The shared writes are closed in this tab');
}
