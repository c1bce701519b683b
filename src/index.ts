export type { Lookup, LookupOutcome } from './read/outcome.js';
export type { DeferReason } from './read/deferred.js';
export type { SingleflightOptions } from './flights/options.js';
export { systemClock } from './base/clock.js';
export { durationOf as parseDuration } from './base/duration.js';
export type {
  Backplane,
  BackplaneAdapter,
  BackplaneListener,
  BackplaneMessage,
  Clock,
  Codec,
  Duration,
  InferredUpstream,
  KeyPage,
  KeyRange,
  KeysOptions,
  Lease,
  LeaseAnswer,
  Loaded,
  LoadContext,
  LoadControl,
  LoadReason,
  MaybePromise,
  MemoryTier,
  PendingWrites,
  Scope,
  StaleIfError,
  StaleValue,
  StorageAdapter,
  StorageTier,
  StorageWrite,
  TagMode,
  Upstream,
  VersionAnswer,
  Writes,
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
  type ErrorOfCode,
  type SoloflightErrorCode,
  TierTimeoutError,
  TooManyFlightsError,
  TooManySubscribersError,
  UndecodableError,
  UnencodableError,
} from './errors.js';
export type { CacheEvent, CacheEventType } from './base/events.js';
export type { AsyncContext, FlightEvent, SingleflightStats } from './flights/flight-map.js';
export { toCacheStatus } from './http/cache-status.js';
export { keyOf } from './base/key.js';
export type { InspectedEntry, InspectedFailure, Inspection } from './read/inspect.js';
export type { BatchOptions, LoadedKey, LoadMany, LoadManyContext } from './read/load-many.js';
export { loaded, notModified } from './read/loaded.js';
export { lruMemory, type LruMemoryOptions } from './memory/lru.js';
export { noMemory } from './memory/none.js';
export { sieveMemory, type SieveMemoryOptions } from './memory/sieve.js';
export type { LifetimeOptions } from './read/lifetime.js';
export type { ReadableCache } from './cache/readable-cache.js';
export type { InferredOptions, TieredCacheOptions, TypedOptions } from './cache/options.js';
export type { ReadOptions } from './read/read-options.js';
export { Singleflight, type ExecuteOptions, type FlightContext } from './flights/singleflight.js';
export type { LatencySummary } from './base/latency.js';
export type { CacheStats } from './read/stats.js';
export { mapStorage } from './storage/map.js';

export { TieredCache } from './cache/tiered-cache.js';
export type { Wrapped, WrappedFunction, WrapOptions } from './read/wrap.js';
export { defineBackplane } from './fleet/define-backplane.js';
export { defineWrites } from './pending/behind.js';
export { writeThrough, type WriteFunction } from './pending/write-through.js';
export { requestScope, type RequestScopeOptions } from './requests/scope.js';
export { defineStorage, type TierOptions } from './tiers/define-storage.js';
export type { Schema, StandardSchema } from './base/schema.js';
export { schemaOnLoad } from './read/schema-on-load.js';
