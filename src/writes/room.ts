import { silenced } from '../base/promises.js';

/** A caller that waits for room. */
interface Waiting {
  readonly key: string;
  readonly enter: () => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * The bound on pending writes, and the callers that wait for room under it.
 *
 * First come, first served, so that no key overtakes itself.
 */
export class Room {
  /** Whether a write of `key` may be accepted now. */
  readonly #admits: (key: string) => boolean;
  readonly #waiting = new Set<Waiting>();

  constructor(admits: (key: string) => boolean) {
    this.#admits = admits;
  }

  /** Number of waiting callers. */
  get waiting(): number {
    return this.#waiting.size;
  }

  admits(key: string): boolean {
    return this.#waiting.size === 0 && this.#admits(key);
  }

  /** Runs `run` when there is room and resolves with its result, unless `signal` aborts first. */
  wait<T>(key: string, run: () => T | PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
    const entered = new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        waiting.refuse(signal?.reason);
        // The callers behind this one may need no room.
        this.open();
      };
      const waiting: Waiting = {
        key,
        enter() {
          leave();
          // Inside a promise's executor, so that a throw in `run` rejects.
          resolve(new Promise<T>((done) => done(run())));
        },
        refuse(reason) {
          leave();
          reject(reason);
        },
      };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', abort);
    });
    return silenced(entered);
  }

  /** Lets in as many as there is room for. */
  open(): void {
    for (const waiting of this.#waiting) {
      if (!this.#admits(waiting.key)) return;
      waiting.enter();
    }
  }

  /** Rejects all waiting callers. */
  close(reason: unknown): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(reason);
  }
}
