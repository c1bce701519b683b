/** The part of the platform that is used here. */
interface Platform {
  /** Pages and workers of browsers have one. Elsewhere, a channel would keep the process alive. */
  readonly location?: unknown;
  readonly navigator?: { readonly locks?: Locks };
  readonly BroadcastChannel?: new (name: string) => Channel;
}

interface Locks {
  request<T>(
    name: string,
    options: { readonly ifAvailable: true },
    run: (lock: unknown) => Promise<T> | undefined,
  ): Promise<T | undefined>;
}

interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: object) => void): void;
  close(): void;
}

/** Lets the tabs of an origin probe for each other: one at a time probes, and tells the others. */
export class SharedProbes {
  readonly #name: string;
  readonly #channel: Channel | undefined;

  /** `heard` is called with what other tabs found out. */
  constructor(name: string, heard: (reached: boolean) => void) {
    this.#name = `soloflight-probe:${name}`;
    const { location, BroadcastChannel } = globalThis as Platform;
    if (location === undefined || BroadcastChannel === undefined) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener('message', (event) => {
      const { data } = event as { readonly data?: unknown };
      if (typeof data === 'boolean') heard(data);
    });
  }

  /** Runs `probe`. Gives `undefined` instead, if another tab is probing. */
  async run(probe: () => Promise<boolean>): Promise<boolean | undefined> {
    const { locks } = (globalThis as Platform).navigator ?? {};
    if (this.#channel === undefined || locks === undefined) return probe();
    try {
      return await locks.request(this.#name, { ifAvailable: true }, (lock) => (lock === null ? undefined : probe()));
    } catch {
      // Here, an origin has no locks.
      return probe();
    }
  }

  tell(reached: boolean): void {
    this.#channel?.postMessage(reached);
  }

  close(): void {
    this.#channel?.close();
  }
}
