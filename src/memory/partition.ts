import type { Clock, MemoryTier } from '../contracts.js';
import type { Entry } from '../entry.js';

/** The most cleared partitions that are remembered one by one. */
const MOST_CLEARED = 10_000;

/**
 * The prefixes under which partitions keep their entries in one memory tier.
 *
 * A prefix holds a secret of this process, so that no key from outside can look like a partition's. Keys outside of any
 * partition stay as they are.
 */
export class Partitions {
  readonly #clock: Clock;
  #secret: string | undefined;
  #era = 0;
  readonly #cleared = new Map<string, number>();
  /** Changes whenever a prefix does. */
  version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The prefix of all keys of the partition `id`. */
  prefixOf(id: string): string {
    // Made at first use: a Worker has no randomness while its modules load.
    this.#secret ??= `\0${this.#clock.random()}${this.#clock.random()}`;
    return `${this.#secret}:${this.#era}:${this.#cleared.get(id) ?? 0}${id}/`;
  }

  /** Gives the partition a new prefix. Its entries are out of reach, and are evicted in the order of use. */
  clear(id: string): void {
    this.version += 1;
    this.#cleared.set(id, (this.#cleared.get(id) ?? 0) + 1);
    if (this.#cleared.size <= MOST_CLEARED) return;
    // Clears all partitions rather than remember without bounds.
    this.#cleared.clear();
    this.#era += 1;
  }
}

/** A part of a memory tier with keys of its own. It shares the bounds of the whole and can be cleared at once. */
export class MemoryPartition<V> implements MemoryTier<V> {
  readonly #memory: MemoryTier<V>;
  readonly #partitions: Partitions;
  readonly #id: string;
  #prefix = '';
  #version = -1;

  constructor(memory: MemoryTier<V>, partitions: Partitions, id: string) {
    this.#memory = memory;
    this.#partitions = partitions;
    this.#id = id;
  }

  get(key: string): Entry<V> | undefined {
    return this.#memory.get(this.#keyOf(key));
  }

  peek(key: string): Entry<V> | undefined {
    return this.#memory.peek(this.#keyOf(key));
  }

  set(key: string, entry: Entry<V>): void {
    this.#memory.set(this.#keyOf(key), entry);
  }

  delete(key: string): boolean {
    return this.#memory.delete(this.#keyOf(key));
  }

  clear(): void {
    this.#partitions.clear(this.#id);
  }

  deletePrefix(prefix: string): void {
    if (this.#memory.deletePrefix === undefined) this.clear();
    else this.#memory.deletePrefix(this.#keyOf(prefix));
  }

  /** Size of the whole memory. */
  get size(): number {
    return this.#memory.size;
  }

  /** Evictions of the whole memory. */
  get evictions(): number {
    return this.#memory.evictions ?? 0;
  }

  /** Of the whole memory. */
  get ttl(): number | undefined {
    return this.#memory.ttl;
  }

  #keyOf(key: string): string {
    if (this.#version !== this.#partitions.version) {
      this.#prefix = this.#partitions.prefixOf(this.#id);
      this.#version = this.#partitions.version;
    }
    return this.#prefix + key;
  }
}
