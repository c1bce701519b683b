import type { Clock, MemoryTier } from '../contracts.js';
import { HeldEntry, type Entry } from '../entry.js';

/** A memory tier whose entries can all be made stale at once, as fallbacks until they are loaded anew. */
export class DoubtedMemory<V> implements MemoryTier<V> {
  readonly #memory: MemoryTier<V>;
  readonly #clock: Pick<Clock, 'now'>;
  /** Entries created no later than this are stale, epoch milliseconds. */
  #doubtUntil = -Infinity;
  /** Those of them that were put here since: they come from a storage, which misses no change. */
  #confirmed = new WeakSet<Entry<V>>();

  constructor(memory: MemoryTier<V>, clock: Pick<Clock, 'now'>) {
    this.#memory = memory;
    this.#clock = clock;
  }

  /** Makes everything held now stale. */
  doubt(): void {
    this.#doubtUntil = this.#clock.now();
    this.#confirmed = new WeakSet();
  }

  get(key: string): Entry<V> | undefined {
    const entry = this.#memory.get(key);
    const doubted = this.#doubted(entry);
    if (doubted !== undefined && doubted !== entry) this.#memory.set(key, doubted);
    return doubted;
  }

  peek(key: string): Entry<V> | undefined {
    return this.#doubted(this.#memory.peek(key));
  }

  set(key: string, entry: Entry<V>): void {
    if (entry.createdAt <= this.#doubtUntil) this.#confirmed.add(entry);
    this.#memory.set(key, entry);
  }

  delete(key: string): boolean {
    return this.#memory.delete(key);
  }

  clear(): void {
    this.#memory.clear();
  }

  deletePrefix(prefix: string): void {
    if (this.#memory.deletePrefix === undefined) this.clear();
    else this.#memory.deletePrefix(prefix);
  }

  get size(): number {
    return this.#memory.size;
  }

  get evictions(): number {
    return this.#memory.evictions ?? 0;
  }

  get ttl(): number | undefined {
    return this.#memory.ttl;
  }

  #doubted(entry: Entry<V> | undefined): Entry<V> | undefined {
    if (entry === undefined || entry.createdAt > this.#doubtUntil || entry.freshUntil <= this.#doubtUntil) return entry;
    if (this.#confirmed.has(entry)) return entry;
    return HeldEntry.from(entry).expired(this.#doubtUntil);
  }
}
