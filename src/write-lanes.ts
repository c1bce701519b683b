import { ignore } from './flight.js';

/** The writes of a cache that go to its upstream: one at a time per key, in the order of the calls. */
export class WriteLanes {
  readonly #last = new Map<string, Promise<void>>();

  /** Whether a write of `key` is under way, or waits. */
  has(key: string): boolean {
    return this.#last.has(key);
  }

  /** Calls `write` when the writes of `key` that were asked for before are over; at once if there are none. */
  run<T>(key: string, write: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = before === undefined ? write() : before.then(write);
    const over = turn.then(ignore, ignore);
    this.#last.set(key, over);
    void over.then(() => {
      if (this.#last.get(key) === over) this.#last.delete(key);
    });
    return turn;
  }
}
