export { systemClock } from './clock.js';
export type {
  Backplane,
  BackplaneListener,
  BackplaneMessage,
  Clock,
  Codec,
  Duration,
  Lease,
  LeaseAnswer,
  Loaded,
  LoadContext,
  LoadControl,
  LoadReason,
  MaybePromise,
  MemoryTier,
  PendingWrites,
  StaleValue,
  StorageTier,
  StorageWrite,
  Upstream,
  WriteThrough,
} from './contracts.js';
export { jsonCodec } from './codecs/json.js';
export { freshness, type Entry, type Freshness } from './entry.js';
export {
  CacheClosedError,
  CallerTimeoutError,
  FlightTimeoutError,
  isSoloflightError,
  ReentrantFlightError,
  SomeKeysFailedError,
  SoloflightError,
  TierTimeoutError,
  TooManyFlightsError,
  TooManySubscribersError,
  UndecodableError,
} from './errors.js';
export type { CacheEvent, CacheEventType } from './events.js';
export type { AsyncContext, FlightEvent, SingleflightStats } from './flight-map.js';
export { toCacheStatus } from './http/cache-status.js';
export { keyOf } from './key.js';
export type { LoadMany, LoadManyContext } from './load-many.js';
export { loaded, notModified } from './loaded.js';
export { lruMemory, type LruMemoryOptions } from './memory/lru.js';
export { noMemory } from './memory/none.js';
export type { LifetimeOptions } from './lifetime.js';
export type { DeferReason, SingleflightOptions, TieredCacheOptions } from './options.js';
export type { ReadOptions } from './read-options.js';
export { Singleflight, type ExecuteOptions, type FlightContext } from './singleflight.js';
export type { CacheStats, LatencySummary } from './stats.js';
export { mapStorage } from './storage/map.js';
export type { Lookup, LookupOutcome } from './story.js';
export { TieredCache } from './tiered-cache.js';
export type { Wrapped, WrapOptions } from './wrap.js';
