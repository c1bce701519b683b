import { ignore, silenced } from '../base/promises.js';
import type { QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse } from '../errors.js';
import { toDeadLetter, toPendingWrite, type DeadLetter } from './pending-write.js';
import { queueError, UnknownDeadLetterError } from './write-errors.js';

/** The parts that {@link DeadLetters} works with. */
export interface DeadLettersParts {
  readonly queue: WriteQueue;
  /** Makes sure that the queue is up to date. */
  readonly settled: () => Promise<void>;
  /** Makes a write that the queue holds pending again. */
  readonly restore: (write: QueuedWrite) => void;
  readonly failed: (operation: string, error: unknown) => void;
}

/** The writes that are not delivered any more: lists, requeues and drops them. */
export class DeadLetters<V> {
  readonly #parts: DeadLettersParts;
  #last: Promise<void> = Promise.resolve();

  /** Made by a `WriteBehind`. */
  constructor(parts: DeadLettersParts) {
    this.#parts = parts;
  }

  /** All dead letters, in the order in which they were accepted. Unreadable ones are left out and reported as a `queue-error`. */
  async list(): Promise<DeadLetter<V>[]> {
    return (await this.#dead()).flatMap((write) =>
      write.dead === undefined ? [] : [toDeadLetter<V>(write, write.dead)],
    );
  }

  /**
   * Makes a dead letter a pending write again, with the id it had and before all later writes of its key.
   *
   * Overwrites what the sink has taken for that key in the meantime.
   *
   * @throws {@link UnknownDeadLetterError}, {@link WriteQueueError}
   */
  requeue(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const write = await this.#find(id);
      if (write === undefined) throw new UnknownDeadLetterError(id);
      const again = { ...write, dead: undefined, triedFor: 0 };
      await this.#change('requeue a dead letter', () => this.#parts.queue.put([again]));
      this.#parts.restore(again);
    });
  }

  /** Forgets a dead letter. An unknown id is not an error. */
  drop(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const write = await this.#find(id);
      if (write !== undefined) await this.#change('drop a dead letter', () => this.#parts.queue.remove([write.id]));
    });
  }

  /** Makes one change after the other: two changes of the same letter would undo each other. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#last.then(change);
    this.#last = changed.then(ignore, ignore);
    return silenced(changed);
  }

  async #find(id: string): Promise<QueuedWrite | undefined> {
    if (typeof id !== 'string') throw misuse('id', 'the id of a dead letter', id);
    return (await this.#dead()).find((write) => toPendingWrite(write).id === id);
  }

  async #dead(): Promise<QueuedWrite[]> {
    await this.#parts.settled();
    const { queue, failed } = this.#parts;
    const all: QueuedWrite[] = [];
    await this.#change('list the dead letters', async () => {
      for (const write of await queue.listDead()) {
        if (write instanceof Error) failed('list the dead letters', write);
        else all.push(write);
      }
    });
    return all.sort((a, b) => a.sequence - b.sequence);
  }

  async #change(operation: string, change: () => unknown): Promise<void> {
    try {
      await change();
    } catch (cause) {
      const error = queueError(this.#parts.queue.name, operation, cause);
      this.#parts.failed(operation, error);
      throw error;
    }
  }
}
