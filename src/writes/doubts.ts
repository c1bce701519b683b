import type { MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';

/** A write that was refused, although the queue may hold it. */
interface Doubt {
  readonly id: string;
  readonly key: string;
  /** What the queue held under the id before; `undefined` for nothing. */
  readonly stored: QueuedWrite | undefined;
}

/**
 * Writes whose callers were, or will be, told that they were not accepted, while the queue's answer may have been lost.
 *
 * Until the queue has confirmed the state from before, a later write of the same key must not be stored: after a restart,
 * the refused one would be delivered too, and it could even come last.
 */
export class Doubts {
  readonly #queue: WriteQueue;
  readonly #doubts = new Map<string, Doubt>();
  /** The reason why the last {@link settle} left something. */
  reason: unknown;

  constructor(queue: WriteQueue) {
    this.#queue = queue;
  }

  get size(): number {
    return this.#doubts.size;
  }

  /** Whether a write of `key` is in doubt. */
  concern(key: string): boolean {
    for (const doubt of this.#doubts.values()) if (doubt.key === key) return true;
    return false;
  }

  add({ id, key }: QueuedWrite, stored: QueuedWrite | undefined): void {
    this.#doubts.set(id, { id, key, stored });
  }

  /** The queue has forgotten everything. */
  clear(): void {
    this.#doubts.clear();
  }

  /** Asks the queue for the state from before. Returns nothing if that is over at once. Never throws or rejects. */
  settle(): MaybePromise<void> {
    const doubts = [...this.#doubts.values()];
    const added = doubts.filter(({ stored }) => stored === undefined);
    const changed = doubts.flatMap(({ stored }) => (stored === undefined ? [] : [stored]));
    const removed = this.#ask(added, () => this.#queue.remove(added.map(({ id }) => id)));
    const restored = this.#ask(changed, () => this.#queue.put(changed));
    if (removed === undefined) return restored;
    return removed.then(() => restored);
  }

  #ask(doubts: readonly { readonly id: string }[], change: () => MaybePromise<void>): Promise<void> | undefined {
    if (doubts.length === 0) return undefined;
    const done = (): void => {
      for (const { id } of doubts) this.#doubts.delete(id);
    };
    const failed = (reason: unknown): void => {
      this.reason = reason;
    };
    try {
      const answer = change();
      if (answer !== undefined) return Promise.resolve(answer).then(done, failed);
      done();
    } catch (reason) {
      failed(reason);
    }
    return undefined;
  }
}
