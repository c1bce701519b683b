import type { SingleflightStats } from '../flights/flight-map.js';

/** How long loads took, in milliseconds. Percentiles are accurate to about 5 %. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Counts since construction, and the state of now. */
export interface CacheStats {
  /** Fresh values served from a tier. */
  readonly hits: number;
  /** Stale values served while a reload ran or was waited with. */
  readonly staleHits: number;
  /** Reads that led to, or waited for, a load. */
  readonly misses: number;
  /** Stored values served because a load failed or was too slow. */
  readonly fallbacks: number;
  /** Reads that joined somebody else's flight. */
  readonly coalesced: number;
  /** Calls to the upstream. */
  readonly loads: number;
  readonly loadFailures: number;
  /** Loads in the background. */
  readonly revalidations: number;
  readonly tierErrors: number;
  /** Changes that storage tiers have missed and are still to be told of. The same for a cache and its namespaces. */
  readonly pendingInvalidations: number;
  /** Entries memory dropped to stay within bounds. */
  readonly evictions: number;
  /** Entries in memory. */
  readonly size: number;
  /** Flights under way. */
  readonly inFlight: number;
  /** The flights in detail: subscribers, age of the oldest, totals. */
  readonly flights: SingleflightStats;
  /** (hits + staleHits) / (hits + staleHits + misses + fallbacks), 0 before the first read. */
  readonly hitRatio: number;
  readonly loadLatency: LatencySummary;
}

/** Counters of one cache. Fields are written where the thing happens. */
export class Counters {
  hits = 0;
  staleHits = 0;
  misses = 0;
  fallbacks = 0;
  coalesced = 0;
  loads = 0;
  loadFailures = 0;
  revalidations = 0;
  tierErrors = 0;
  readonly latency: Latency = new Latency();

  snapshot(now: Pick<CacheStats, 'pendingInvalidations' | 'evictions' | 'size' | 'inFlight' | 'flights'>): CacheStats {
    const { hits, staleHits, misses, fallbacks, coalesced, loads, loadFailures, revalidations, tierErrors } = this;
    const served = hits + staleHits;
    const reads = served + misses + fallbacks;
    return {
      ...{ hits, staleHits, misses, fallbacks, coalesced, loads, loadFailures, revalidations, tierErrors },
      ...now,
      hitRatio: reads === 0 ? 0 : served / reads,
      loadLatency: this.latency.summary(),
    };
  }
}

/** Bucket i holds durations up to GROWTH^i × SMALLEST milliseconds. */
const SMALLEST = 0.1;
const GROWTH = 1.1;
/** Reaches beyond an hour. */
const BUCKETS = 184;

/** A histogram of durations with buckets of equal ratio: constant memory, no matter how many durations. */
export class Latency {
  #buckets: Uint32Array | undefined;
  #count = 0;
  #sum = 0;
  #max = 0;

  record(ms: number): void {
    const buckets = (this.#buckets ??= new Uint32Array(BUCKETS));
    const index = ms <= SMALLEST ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / SMALLEST) / Math.log(GROWTH)));
    buckets[index]! += 1;
    this.#count += 1;
    this.#sum += ms;
    if (ms > this.#max) this.#max = ms;
  }

  summary(): LatencySummary {
    const count = this.#count;
    return {
      count,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: this.#percentile(0.5),
      p95: this.#percentile(0.95),
      p99: this.#percentile(0.99),
      max: this.#max,
    };
  }

  #percentile(share: number): number {
    const rank = Math.ceil(this.#count * share);
    let seen = 0;
    for (const [index, count] of (this.#buckets ?? []).entries()) {
      seen += count;
      // The middle of the bucket, by ratio, is off by at most half a step either way.
      if (seen >= rank && count > 0) return Math.min(this.#max, SMALLEST * GROWTH ** (index === 0 ? 0 : index - 0.5));
    }
    return 0;
  }
}
