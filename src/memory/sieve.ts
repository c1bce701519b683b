import { checkNames, checkObject } from '../base/checks.js';
import type { Duration, MemoryTier } from '../contracts.js';
import type { Entry } from '../entry.js';
import { checkMax, resolveTtl } from './checks.js';

/** Options of {@link sieveMemory}. */
export interface SieveMemoryOptions {
  /** Entries held at most. An integer from 1 to 16,777,216. @default 10_000 */
  readonly max?: number;
  /** How long this tier holds an entry at most, > 0. It shortens an entry's life here, and never lengthens it. @default as long as the entry lives */
  readonly ttl?: Duration;
}

const DEFAULT_MAX = 10_000;

/** The slot that holds no entry: it lies between the newest entry and the oldest, and closes the ring. */
const ENDS = 0;

/**
 * A memory tier that is bounded by SIEVE: a hit sets one bit, and a hand that goes from the oldest entry to the newest
 * drops the first entry that was not read since the hand last passed it.
 *
 * A read changes no order, so it is cheaper than with {@link lruMemory}. An entry that is read once, as by a scan, is dropped
 * before those that are read again. Memory is allocated as entries come, whatever `max` is.
 *
 * @see Zhang et al.: SIEVE is Simpler than LRU, NSDI 2024.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function sieveMemory<V>(options: SieveMemoryOptions = {}): MemoryTier<V> {
  checkObject('options', options);
  checkNames(options, ['max', 'ttl']);
  const { max, ttl } = options;
  checkMax(max);
  return new SieveMemory(max ?? DEFAULT_MAX, resolveTtl(ttl));
}

/** Entries lie in slots, which are numbers: arrays of numbers are cheaper to read, and to collect, than linked objects. */
class SieveMemory<V> implements MemoryTier<V> {
  readonly ttl: number | undefined;
  readonly #max: number;
  readonly #slots = new Map<string, number>();
  #keys!: (string | undefined)[];
  #entries!: (Entry<V> | undefined)[];
  /** 1 for a slot whose entry was read since the hand passed it. */
  #visited!: number[];
  /** The next slot on the way to the newest entry. */
  #newer!: number[];
  /** The next slot on the way to the oldest entry. */
  #older!: number[];
  #free!: number[];
  /** Where the hand looks next. */
  #hand!: number;
  #evictions = 0;

  constructor(max: number, ttl: number | undefined) {
    this.#max = max;
    this.ttl = ttl;
    this.clear();
  }

  get(key: string): Entry<V> | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#visited[slot] = 1;
    return this.#entries[slot];
  }

  peek(key: string): Entry<V> | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#entries[slot];
  }

  /** Replacing an entry is no use of it: a value that is written again and again and never read may go. */
  set(key: string, entry: Entry<V>): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) this.#add(key, entry);
    else this.#entries[slot] = entry;
  }

  delete(key: string): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#remove(slot, key);
    return true;
  }

  clear(): void {
    this.#slots.clear();
    this.#keys = [undefined];
    this.#entries = [undefined];
    this.#visited = [0];
    this.#newer = [ENDS];
    this.#older = [ENDS];
    this.#free = [];
    this.#hand = ENDS;
  }

  deletePrefix(prefix: string): void {
    for (const key of this.#slots.keys()) if (key.startsWith(prefix)) this.delete(key);
  }

  get size(): number {
    return this.#slots.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  #add(key: string, entry: Entry<V>): void {
    if (this.#slots.size >= this.#max) this.#evict();
    const slot = this.#free.pop() ?? this.#keys.length;
    const newest = this.#older[ENDS]!;
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    this.#entries[slot] = entry;
    this.#visited[slot] = 0;
    this.#newer[slot] = ENDS;
    this.#older[slot] = newest;
    this.#newer[newest] = slot;
    this.#older[ENDS] = slot;
  }

  /** Drops the first entry from the hand on that was not read. One round forgets all reads, so the second finds one. */
  #evict(): void {
    let slot = this.#hand;
    for (;;) {
      if (slot === ENDS) slot = this.#newer[ENDS]!;
      if (this.#visited[slot] === 0) break;
      this.#visited[slot] = 0;
      slot = this.#newer[slot]!;
    }
    this.#hand = slot;
    this.#remove(slot, this.#keys[slot]!);
    this.#evictions += 1;
  }

  #remove(slot: number, key: string): void {
    const newer = this.#newer[slot]!;
    const older = this.#older[slot]!;
    // The hand goes on where it would have gone after this slot.
    if (this.#hand === slot) this.#hand = newer;
    this.#newer[older] = newer;
    this.#older[newer] = older;
    this.#slots.delete(key);
    this.#keys[slot] = undefined;
    this.#entries[slot] = undefined;
    this.#free.push(slot);
  }
}
