import type { QueuedWrite, WriteQueue } from '../contracts.js';

/**
 * A queue in the memory of the process: the reference for others.
 *
 * Outlives the `WriteBehind` it is given to, not the process.
 */
export function memoryQueue(): WriteQueue {
  return new MemoryQueue();
}

/** What a `WriteBehind` has if it is given no queue: a place for dead letters, since it holds all other writes itself. */
export function deadLetterQueue(): WriteQueue {
  return new DeadLetterQueue();
}

class DeadLetterQueue implements WriteQueue {
  readonly name = 'memory';
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
  readonly #writes = new Map<string, QueuedWrite>();
  /** Apart, so that many of them cost nothing when the others are looked at. */
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
