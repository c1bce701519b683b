import { LRUCache } from 'lru-cache';

import { checkFunction, checkNames, checkObject } from '../base/checks.js';
import type { Duration, MemoryTier } from '../contracts.js';
import type { Entry } from '../entry.js';
import { misuse } from '../errors.js';
import { checkLimit, checkMax, resolveTtl } from './checks.js';

/** Options of {@link lruMemory}. */
export interface LruMemoryOptions<V> {
  /**
   * Entries held at most. An integer from 1 to 16,777,216. Up to 100,000, 16 bytes are allocated for each of them at construction.
   * @default 10_000, or unlimited where `maxSize` is given
   */
  readonly max?: number;
  /** Sum of sizes held at most, in the unit of `sizeOf`. An integer ≥ 1. @default unlimited */
  readonly maxSize?: number;
  /** Size of one value, > 0. Needed with `maxSize`. An entry whose size can't be told, or exceeds `maxSize`, is not held. */
  readonly sizeOf?: (value: V, key: string) => number;
  /** How long this tier holds an entry at most, > 0. It shortens an entry's life here, and never lengthens it. @default as long as the entry lives */
  readonly ttl?: Duration;
}

const DEFAULT_MAX = 10_000;

/** Beyond so many entries, memory for all of them is not allocated at once. */
const ALLOCATED = 100_000;

/** Where reads go from key to key, comparing and remembering each would cost as much as the reading itself. */
const READS_UNREMEMBERED = 15;

/**
 * The default memory tier: bounded, dropping the least recently used entry first.
 *
 * Built on lru-cache without its ttl: entries carry their own instants, and lru-cache's clock stands still in Workers.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function lruMemory<V>(options: LruMemoryOptions<V> = {}): MemoryTier<V> {
  checkObject('options', options);
  checkNames(options, ['max', 'maxSize', 'sizeOf', 'ttl']);
  const { max, maxSize, sizeOf, ttl } = options;
  checkMax(max);
  checkLimit('maxSize', maxSize);
  checkFunction('sizeOf', sizeOf);
  if ((maxSize === undefined) !== (sizeOf === undefined))
    throw misuse('sizeOf', 'given together with `maxSize`', sizeOf);
  return new LruMemory(options, resolveTtl(ttl));
}

class LruMemory<V> implements MemoryTier<V> {
  readonly ttl: number | undefined;
  readonly #entries: LRUCache<string, Entry<V>>;
  #evictions = 0;
  /** What the last `get` found, until anything changes: spares a hot key the map and the list. */
  #lastKey: string | undefined;
  #last: Entry<V> | undefined;
  /** Reads to come before the next is remembered. */
  #unremembered = 0;

  constructor({ max, maxSize, sizeOf }: LruMemoryOptions<V>, ttl: number | undefined) {
    this.ttl = ttl;
    const dispose = (_entry: Entry<V>, _key: string, reason: string): void => {
      if (reason === 'evict') this.#evictions += 1;
    };
    if (maxSize === undefined || sizeOf === undefined) {
      // Where it knows sizes alone, lru-cache allocates as entries come.
      const bound = max !== undefined && max > ALLOCATED ? { maxSize: max, sizeCalculation: () => 1 } : undefined;
      this.#entries = new LRUCache({ ...(bound ?? { max: max ?? DEFAULT_MAX }), dispose });
      return;
    }
    const sizeCalculation = (entry: Entry<V>, key: string): number => sizeIn(sizeOf, entry, key);
    this.#entries = new LRUCache({ ...(max === undefined ? {} : { max }), maxSize, sizeCalculation, dispose });
  }

  get(key: string): Entry<V> | undefined {
    if (this.#unremembered > 0) {
      this.#unremembered -= 1;
      return this.#entries.get(key);
    }
    // The key read last is already the most recently used one: reading it again changes nothing in the order.
    if (key === this.#lastKey) return this.#last;
    const isChange = this.#lastKey !== undefined;
    const entry = this.#entries.get(key);
    this.#lastKey = isChange || entry === undefined ? undefined : key;
    this.#last = isChange ? undefined : entry;
    if (isChange) this.#unremembered = READS_UNREMEMBERED;
    return entry;
  }

  peek(key: string): Entry<V> | undefined {
    return this.#entries.peek(key);
  }

  set(key: string, entry: Entry<V>): void {
    this.#lastKey = this.#last = undefined;
    this.#entries.set(key, entry);
  }

  delete(key: string): boolean {
    this.#lastKey = this.#last = undefined;
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#lastKey = this.#last = undefined;
    this.#entries.clear();
  }

  deletePrefix(prefix: string): void {
    const keys: string[] = [];
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) keys.push(key);
    for (const key of keys) this.delete(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  get evictions(): number {
    return this.#evictions;
  }
}

function sizeIn<V>(sizeOf: (value: V, key: string) => number, entry: Entry<V>, key: string): number {
  // Remembering that there is nothing costs next to nothing, and `sizeOf` need not know about it.
  if (entry.value === undefined) return 1;
  const size = sizeOf(entry.value, key);
  if (typeof size !== 'number' || !(size > 0)) throw misuse('result of sizeOf', 'a number > 0', size);
  return Math.ceil(size);
}
