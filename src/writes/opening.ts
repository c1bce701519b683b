import { silenced } from '../base/promises.js';
import type { QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse } from '../errors.js';
import { isQueuedWrite } from './queued-write.js';
import { queueError } from './write-errors.js';

/** A call that came before the queue was read. */
interface Early {
  readonly enter: () => void;
  readonly refuse: (reason: unknown) => void;
}

/** The parts that {@link Opening} works with. */
export interface OpeningParts {
  readonly queue: WriteQueue;
  /** Takes each write that the queue holds, in their order. */
  readonly restore: (write: QueuedWrite) => void;
  readonly failed: (operation: string, error: unknown) => void;
}

/** Reads what the queue holds, once, before anything else happens to it. */
export class Opening {
  readonly #parts: OpeningParts;
  readonly #early: Early[] = [];
  #opening: Promise<void> | undefined;
  /** Whether the queue was read. */
  done: boolean;

  /** `done`: there is nothing to read. */
  constructor(done: boolean, parts: OpeningParts) {
    this.#parts = parts;
    this.done = done;
  }

  /** Resolves when the queue has been read. After a failure, the next call tries again. */
  open(): Promise<void> {
    return this.after(() => {});
  }

  /** Runs `run` once the queue has been read, in the order of the calls, and resolves with its result. */
  after<T>(run: () => T | PromiseLike<T>): Promise<T> {
    if (this.done) return silenced(new Promise((resolve) => resolve(run())));
    const entered = new Promise<T>((resolve, reject) => {
      const enter = (): void => resolve(new Promise<T>((done) => done(run())));
      this.#early.push({ enter, refuse: reject });
    });
    this.#opening ??= this.#read();
    return silenced(entered);
  }

  /** Resolves when no reading is under way. Never rejects. */
  async settled(): Promise<void> {
    await this.#opening;
  }

  async #read(): Promise<void> {
    const { queue, restore, failed } = this.#parts;
    let writes: readonly (QueuedWrite | Error)[];
    try {
      // The async function delays even a synchronous failure until `#opening` is set.
      writes = await (async () => queue.load())();
      if (!Array.isArray(writes)) throw misuse('result of load', 'an array of writes', writes);
    } catch (cause) {
      const error = queueError(queue.name, 'give the writes it holds', cause);
      this.#opening = undefined;
      failed('load', error);
      for (const { refuse } of this.#early.splice(0)) refuse(error);
      return;
    }
    const readable = writes.filter((write) => isQueuedWrite(write));
    for (const write of readable.sort((a, b) => a.sequence - b.sequence)) restore(write);
    for (const write of writes) {
      if (!isQueuedWrite(write))
        failed('load', write instanceof Error ? write : misuse('write in the queue', 'a write', write));
    }
    // All early calls run before any later one.
    this.done = true;
    for (const { enter } of this.#early.splice(0)) enter();
  }
}
