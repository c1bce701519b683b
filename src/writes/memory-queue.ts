import type { QueuedWrite, WriteQueue } from '../contracts.js';

/**
 * A queue in the memory of the process: the reference for others.
 *
 * Outlives the `WriteBehind` it is given to, not the process.
 */
export function memoryQueue(): WriteQueue {
  return new MemoryQueue();
}

/** The queue of a `WriteBehind` that was given none. Keeps dead letters alone: all other writes are in its memory anyway. */
export function deadLetterQueue(): WriteQueue {
  return new DeadLetterQueue();
}

class DeadLetterQueue implements WriteQueue {
  readonly name = 'memory';
  readonly volatile = true;
  readonly #dead = new Map<string, QueuedWrite>();

  load(): QueuedWrite[] {
    return [];
  }

  put(writes: readonly QueuedWrite[]): void {
    for (const write of writes) {
      if (write.dead !== undefined) this.#dead.set(write.id, write);
      else if (this.#dead.size > 0) this.#dead.delete(write.id);
    }
  }

  remove(ids: readonly string[]): void {
    if (this.#dead.size > 0) for (const id of ids) this.#dead.delete(id);
  }

  listDead(): QueuedWrite[] {
    return [...this.#dead.values()];
  }
}

class MemoryQueue implements WriteQueue {
  readonly name = 'memory';
  readonly volatile = true;
  readonly #writes = new Map<string, QueuedWrite>();
  /** Kept apart, so that many dead letters don't slow `load` down. */
  readonly #dead = new Map<string, QueuedWrite>();

  load(): QueuedWrite[] {
    return [...this.#writes.values()];
  }

  put(writes: readonly QueuedWrite[]): void {
    for (const write of writes) {
      const [home, other] = write.dead === undefined ? [this.#writes, this.#dead] : [this.#dead, this.#writes];
      home.set(write.id, write);
      if (other.size > 0) other.delete(write.id);
    }
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) {
      if (!this.#writes.delete(id)) this.#dead.delete(id);
    }
  }

  listDead(): QueuedWrite[] {
    return [...this.#dead.values()];
  }
}
