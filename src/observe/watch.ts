import { systemClock } from '../base/clock.js';
import type { Clock } from '../contracts.js';
import type { CacheStats } from '../read/stats.js';
import { hashOf } from './key-hash.js';
import type { ObservedCache } from './observed.js';

/** Keys of loads that are told apart, at most: enough for a share. */
const MOST_KEYS = 20_000;
const SECOND = 1_000;

/** What {@link Watch} has seen of a cache since it began. */
export interface Seen {
  /** Milliseconds. */
  readonly lasted: number;
  readonly before: CacheStats;
  readonly now: CacheStats;
  /** Distinct keys among the loads that were looked at. */
  readonly keys: number;
  /** Keys that were loaded once. */
  readonly keysOnce: number;
  readonly loads: number;
  /** Loads that brought nothing. */
  readonly absent: number;
  readonly sets: number;
  /** The most values that came in one second. */
  readonly mostInOneSecond: number;
}

/** Watches a cache for {@link advise}. Reads pay nothing: it listens to loads and sets alone. */
export class Watch {
  readonly #cache: ObservedCache;
  readonly #clock: Clock;
  readonly #since: number;
  readonly #before: CacheStats;
  /** How often each key was loaded, by its hash. */
  readonly #keys = new Map<string, number>();
  #second = 0;
  #inSecond = 0;
  #loads = 0;
  #absent = 0;
  #sets = 0;
  #most = 0;
  /** Since when coalescing is found to be off, monotonic. */
  #offSince: number | undefined;

  constructor(cache: ObservedCache, clock: Clock = systemClock) {
    this.#cache = cache;
    this.#clock = clock;
    this.#since = clock.monotonic();
    this.#before = cache.getStats();
    cache.on('load', (event) => this.#loaded(event));
    cache.on('set', () => {
      this.#sets += 1;
    });
  }

  get seen(): Seen {
    const keysOnce = [...this.#keys.values()].filter((count) => count === 1).length;
    return {
      lasted: this.#clock.monotonic() - this.#since,
      before: this.#before,
      now: this.#cache.getStats(),
      keys: this.#keys.size,
      ...{ keysOnce, loads: this.#loads, absent: this.#absent, sets: this.#sets, mostInOneSecond: this.#most },
    };
  }

  /** How long coalescing has been off, as far as it was asked for: milliseconds. */
  offFor(isOff: boolean): number {
    if (!isOff) this.#offSince = undefined;
    else this.#offSince ??= this.#clock.monotonic();
    return this.#offSince === undefined ? 0 : this.#clock.monotonic() - this.#offSince;
  }

  #loaded({ key, absent }: { readonly key: string; readonly absent: boolean }): void {
    this.#loads += 1;
    if (absent) this.#absent += 1;
    const { high, low } = hashOf(key);
    const id = `${high} ${low}`;
    const times = this.#keys.get(id);
    if (times !== undefined || this.#keys.size < MOST_KEYS) this.#keys.set(id, (times ?? 0) + 1);
    const second = Math.floor(this.#clock.monotonic() / SECOND);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    this.#inSecond += 1;
    this.#most = Math.max(this.#most, this.#inSecond);
  }
}
