export { systemClock } from './base/clock.js';
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
export type { CacheEvent, CacheEventType } from './base/events.js';
export type { AsyncContext, FlightEvent, SingleflightStats } from './flights/flight-map.js';
export { toCacheStatus } from './http/cache-status.js';
export { keyOf } from './base/key.js';
export type { LoadMany, LoadManyContext } from './read/load-many.js';
export { loaded, notModified } from './read/loaded.js';
export { lruMemory, type LruMemoryOptions } from './memory/lru.js';
export { noMemory } from './memory/none.js';
export type { LifetimeOptions } from './read/lifetime.js';
export type { DeferReason, SingleflightOptions, TieredCacheOptions } from './cache/options.js';
export type { ReadOptions } from './read/read-options.js';
export { Singleflight, type ExecuteOptions, type FlightContext } from './flights/singleflight.js';
export type { CacheStats, LatencySummary } from './read/stats.js';
export { mapStorage } from './storage/map.js';
export type { Lookup, LookupOutcome } from './read/story.js';
export { TieredCache } from './cache/tiered-cache.js';
export type { Wrapped, WrapOptions } from './read/wrap.js';
