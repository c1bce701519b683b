import { Latency, type LatencySummary } from '../base/latency.js';
import type { SingleflightStats } from '../flights/flight-map.js';

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
