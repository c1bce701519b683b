import type { CacheEvent } from '../base/events.js';
import { misuse } from '../errors.js';
import type { SingleflightStats } from '../flights/flight-map.js';
import type { CacheStats } from '../read/stats.js';
import type { WriteStatus } from '../writes/write-behind.js';
import type { WriteEvent } from '../writes/write-events.js';

/** A `TieredCache` or one of its namespaces. */
export interface ObservedCache {
  getStats(): CacheStats;
  on<T extends CacheEvent['type']>(type: T, listener: (event: Extract<CacheEvent, { type: T }>) => void): () => void;
}

/** A `Singleflight`. */
export interface ObservedFlights {
  getStats(): SingleflightStats;
}

/** A `WriteBehind`. */
export interface ObservedWrites {
  status(): WriteStatus;
  on<T extends WriteEvent['type']>(type: T, listener: (event: Extract<WriteEvent, { type: T }>) => void): () => void;
}

/** A `Batcher`. */
export interface ObservedBatcher {
  readonly pending: number;
}

/** What can be observed: a `TieredCache`, `Singleflight`, `WriteBehind` or `Batcher`, or what looks like one. */
export type Observed = ObservedCache | ObservedFlights | ObservedWrites | ObservedBatcher;

/** A source, with the kind of it. */
export type Known =
  | { readonly kind: 'cache'; readonly source: ObservedCache }
  | { readonly kind: 'flights'; readonly source: ObservedFlights }
  | { readonly kind: 'writes'; readonly source: ObservedWrites }
  | { readonly kind: 'batcher'; readonly source: ObservedBatcher };

/** Tells what `source` is by its methods: it may be a stand-in, or of another copy of the package. */
export function known(source: Observed): Known {
  if (typeof source === 'object' && source !== null) {
    if ('status' in source && typeof source.status === 'function') return { kind: 'writes', source };
    if ('getStats' in source && typeof source.getStats === 'function')
      return isCache(source) ? { kind: 'cache', source } : { kind: 'flights', source };
    if ('pending' in source && typeof source.pending === 'number') return { kind: 'batcher', source };
  }
  throw misuse('source', 'a TieredCache, Singleflight, WriteBehind or Batcher', source);
}

function isCache(source: ObservedCache | ObservedFlights): source is ObservedCache {
  return 'on' in source && typeof source.on === 'function';
}
