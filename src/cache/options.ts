import { systemClock } from '../base/clock.js';
import type {
  Backplane,
  Clock,
  Duration,
  MemoryTier,
  PendingWrites,
  StorageTier,
  Upstream,
  WriteThrough,
} from '../contracts.js';
import { parseDuration } from '../base/duration.js';
import { misuse } from '../errors.js';
import type { AsyncContext, FlightEvent, FlightMapOptions } from '../flights/flight-map.js';
import { isolationOf, type Isolate, type Isolation } from '../read/isolation.js';
import { Leases, type Scope } from '../requests/heartbeat.js';
import { resolveLifetime, type LifetimeOptions, type LifetimeSettings } from '../read/lifetime.js';
import { gathering, type LoadMany } from '../read/load-many.js';
import {
  checkClock,
  checkCount,
  checkFunction,
  checkMethods,
  checkNames,
  checkObject,
  checkTier,
} from '../base/checks.js';
import { plainOnly } from '../requests/plain-data.js';
import type { RefreshAhead } from '../read/refresh-ahead.js';
import { resolveWrites, type WritePort } from '../pending/write-port.js';

/** Options of `Singleflight`. */
export interface SingleflightOptions<K = string> {
  /** Callers a flight takes; one more rejects with `TooManySubscribersError`. At least 1. @default Infinity */
  readonly maxSubscribers?: number;
  /** Age at which a flight is ended and its subscribers reject with `FlightTimeoutError`. `Infinity` turns it off. @default '30s' */
  readonly maxDuration?: Duration;
  /** Flights under way at once; leading one more rejects with `TooManyFlightsError`. At least 1. @default Infinity */
  readonly maxFlights?: number;
  /** `false`, or a function that returns it, turns coalescing off: every call runs its own work. @default true */
  readonly coalesce?: boolean | (() => boolean);
  /** Time and timers, replaced in tests. @default systemClock */
  readonly clock?: Clock;
  /** Told of everything that happens to flights. What it throws is ignored. */
  readonly onEvent?: (event: FlightEvent<K>) => void;
  /** An `AsyncLocalStorage`, to detect work that waits for its own key across `await`s. */
  readonly asyncContext?: AsyncContext;
}

/** Why work was handed to `defer`. */
export type DeferReason = 'revalidate' | 'write-back' | 'load' | 'write';

/** Options of `TieredCache`. Durations are milliseconds or strings such as `'10s'`. */
export interface TieredCacheOptions<V> extends LifetimeOptions<V> {
  /** How long a value is fresh, or a function of the value. Required: there is no honest default. */
  readonly ttl: Duration | ((value: V, key: string) => Duration);
  /** Prefix of its keys in storage, so that several caches can share one. Those with the same name share the entries. @default none */
  readonly name?: string;
  /** The memory tier, or `false` for none. @default lruMemory({ max: 10_000 }) */
  readonly memory?: MemoryTier<V> | false;
  /** One storage tier, or several, nearest first. @default none */
  readonly storage?: StorageTier | readonly StorageTier[];
  /** Loads what no tier has. Without it, use `getOrLoad`. */
  readonly upstream?: Upstream<V>;
  /**
   * Loads several keys at once: used where several are missing in the same turn of the event loop, whether read by
   * `getMany` or one by one. Without `upstream` it loads single keys as well.
   */
  readonly loadMany?: LoadMany<V>;
  /**
   * Takes `set` and `update` to the source of truth before the tiers get the value: `{ through }` at once, a `WriteBehind` from
   * `soloflight/writes` later, in batches, and reads see what is pending there. Namespaces are not offered with it: it is
   * told keys alone. @default none: a `set` changes the cache only
   */
  readonly writes?: WriteThrough<V> | PendingWrites<V>;
  /** How long "not there" (`undefined` from the upstream) is remembered; 0 not at all. @default 0 */
  readonly absentTtl?: Duration;
  /** How long a failure without a fallback is remembered in memory; 0 not at all. Aborts and timeouts never are. @default 0 */
  readonly errorTtl?: Duration | ((error: unknown) => Duration);
  /**
   * Reloads in the background while still fresh: on the first read past this fraction of the ttl, or by XFetch with
   * `{ beta: 1 }` (a larger beta reloads earlier). @default off
   */
  readonly refreshAhead?: RefreshAhead;
  /** Shortens each ttl by up to this fraction, at random, so that entries made together don't expire together. In [0, 1). @default 0 */
  readonly jitter?: number;
  /**
   * What callers share: the very value (`'none'`), the value deeply frozen (`'freeze'`), or nothing: each gets a
   * structured clone (`'clone'`, which costs a clone per read). @default 'none'
   */
  readonly isolate?: Isolate;
  /**
   * How far clocks of processes that share a storage may be apart. Decides how `invalidateTags` and `clear` treat entries
   * that another process stored about then: those of so much later are reloaded as well. @default '1s', and 0 without storage
   */
  readonly clockSkew?: Duration;
  /** With a stored value to fall back on, a load slower than this answers it and goes on in the background. @default Infinity */
  readonly softTimeout?: Duration;
  /** Pause after a failed load with a fallback: doubling, full jitter, reset by success. @default { initial: '1s', max: '30s' } */
  readonly errorBackoff?: { readonly initial: Duration; readonly max: Duration };
  /** Age at which a load is given up. `Infinity` turns it off. @default '30s' */
  readonly maxDuration?: Duration;
  /** Callers that may wait for one key. At least 1. @default Infinity */
  readonly maxSubscribers?: number;
  /** Keys that may be loading at once. At least 1. @default Infinity */
  readonly maxFlights?: number;
  /** `false`, or a function that returns it, turns coalescing off. @default true */
  readonly coalesce?: boolean | (() => boolean);
  /** Whether a load waits until its result is in storage (`'await'`), or not (`'defer'`). @default 'defer' */
  readonly writeBack?: 'defer' | 'await';
  /** Deadline of one storage read; beyond it the read is a miss. @default '1s' */
  readonly readTimeout?: Duration;
  /** Deadline of one storage write. @default '5s' */
  readonly writeTimeout?: Duration;
  /** Tells the memory of other processes what changes here, and this one what changes there. @default none */
  readonly backplane?: Backplane;
  /**
   * How long a load waits for another process that loads the same key, before it goes ahead by itself; 0 turns leases
   * off. Only where a storage tier offers leases. @default '10s'
   */
  readonly leaseWait?: Duration;
  /** Told of work nobody waits for, for example to hand it to `waitUntil`. The promise never rejects. */
  readonly defer?: (work: Promise<void>, reason: DeferReason) => void;
  /** Detects loads that wait for their own key: an `AsyncLocalStorage`. */
  readonly asyncContext?: AsyncContext;
  /**
   * What callers have in common: one I/O context (`'shared'`: Node, browsers, Durable Objects), or none (`'request'`:
   * plain Workers, where a request that ends takes its I/O with it). With `'request'` no caller ever waits for another
   * request longer than that shows signs of life, and values must be plain data. See `defer`. @default 'shared'
   */
  readonly scope?: Scope;
  /** Time, timers and randomness, replaced in tests. @default systemClock */
  readonly clock?: Clock;
}

/** {@link TieredCacheOptions}, checked, parsed and complete. */
export interface CacheSettings<V> {
  /** Names around the keys in storage. */
  readonly space: readonly string[];
  readonly lifetime: LifetimeSettings<V>;
  readonly memory: MemoryTier<V> | false | undefined;
  readonly storage: readonly StorageTier[];
  readonly upstream: Upstream<V> | undefined;
  readonly writes: WritePort<V> | undefined;
  readonly absentTtl: number;
  readonly errorTtl: number | ((error: unknown) => Duration);
  readonly refreshAhead: RefreshAhead | undefined;
  readonly jitter: number;
  readonly isolation: Isolation;
  readonly clockSkew: number;
  readonly leaseWait: number;
  readonly backplane: Backplane | undefined;
  readonly softTimeout: number;
  readonly errorBackoff: { readonly initial: number; readonly max: number };
  readonly flights: FlightMapOptions<string>;
  readonly scope: Scope;
  readonly writeBack: 'defer' | 'await';
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;
  readonly clock: Clock;
}

const DEFAULTS = Object.freeze({
  maxDuration: 30_000,
  readTimeout: 1_000,
  writeTimeout: 5_000,
  clockSkew: 1_000,
  leaseWait: 10_000,
  errorBackoff: Object.freeze({ initial: 1_000, max: 30_000 }),
});

const FLIGHT_OPTIONS = [
  'maxSubscribers',
  'maxDuration',
  'maxFlights',
  'coalesce',
  'clock',
  'onEvent',
  'asyncContext',
] as const;
const CACHE_OPTIONS = [
  ...([
    'ttl',
    'staleWhileRevalidate',
    'staleIfError',
    'tags',
    'name',
    'memory',
    'storage',
    'upstream',
    'loadMany',
    'writes',
    'absentTtl',
    'errorTtl',
  ] as const),
  ...([
    'refreshAhead',
    'jitter',
    'isolate',
    'clockSkew',
    'leaseWait',
    'backplane',
    'softTimeout',
    'errorBackoff',
    'maxDuration',
    'maxSubscribers',
    'maxFlights',
    'coalesce',
    'writeBack',
    'readTimeout',
  ] as const),
  ...(['writeTimeout', 'defer', 'asyncContext', 'scope', 'clock'] as const),
];

/** Checks the options that flights have. */
export function resolveFlightOptions<K>(options: SingleflightOptions<K>): FlightMapOptions<K> {
  checkObject('options', options);
  checkNames(options, FLIGHT_OPTIONS);
  const {
    maxSubscribers = Infinity,
    maxDuration = DEFAULTS.maxDuration,
    maxFlights = Infinity,
    coalesce = true,
  } = options;
  const { clock = systemClock, onEvent, asyncContext } = options;
  checkCount('maxSubscribers', maxSubscribers);
  checkCount('maxFlights', maxFlights);
  if (typeof coalesce !== 'boolean' && typeof coalesce !== 'function')
    throw misuse('coalesce', 'a boolean or a function', coalesce);
  checkFunction('onEvent', onEvent);
  checkClock(clock);
  if (
    asyncContext !== undefined &&
    (typeof asyncContext?.run !== 'function' || typeof asyncContext.getStore !== 'function')
  ) {
    throw misuse('asyncContext', 'an AsyncLocalStorage', asyncContext);
  }
  const longest = parseDuration('maxDuration', maxDuration, { zero: false, infinite: true });
  return { maxSubscribers, maxFlights, maxDuration: longest, coalesce, clock, onEvent, asyncContext };
}

/** Checks the options of a cache and fills in the defaults. */
export function resolveCacheOptions<V>(options: TieredCacheOptions<V>): CacheSettings<V> {
  checkObject('options', options);
  checkNames(options, CACHE_OPTIONS);
  const {
    name,
    memory,
    storage = [],
    upstream,
    loadMany,
    errorTtl = 0,
    writeBack = 'defer',
    defer,
    scope = 'shared',
    clock = systemClock,
  } = options;
  if (options.ttl === undefined)
    throw misuse('ttl', "set: how long is a value fresh? For example `ttl: '10s'`", options.ttl);
  if (name !== undefined && (typeof name !== 'string' || name === '')) throw misuse('name', 'a non-empty string', name);
  if (memory !== undefined && memory !== false)
    checkMethods('memory', 'a memory tier or false', memory, ['get', 'peek', 'set', 'delete', 'clear']);
  const tiers = Array.isArray(storage) ? (storage as readonly StorageTier[]) : [storage as StorageTier];
  for (const tier of tiers) checkTier(tier);
  checkFunction('upstream', upstream);
  checkFunction('loadMany', loadMany);
  checkFunction('defer', defer);
  if (scope !== 'shared' && scope !== 'request') throw misuse('scope', "'shared' or 'request'", scope);
  if (writeBack !== 'defer' && writeBack !== 'await') throw misuse('writeBack', "'defer' or 'await'", writeBack);
  return {
    space: name === undefined ? [] : [name],
    lifetime: resolveLifetime(options, options.ttl),
    memory,
    storage: tiers,
    upstream: loadMany === undefined ? upstream : gathering(loadMany, upstream),
    writes: resolveWrites(options.writes),
    absentTtl: parseDuration('absentTtl', options.absentTtl ?? 0, { infinite: true }),
    errorTtl: typeof errorTtl === 'function' ? errorTtl : parseDuration('errorTtl', errorTtl),
    refreshAhead: resolveRefreshAhead(options.refreshAhead),
    jitter: resolveJitter(options.jitter ?? 0),
    isolation: resolveIsolation(options.isolate ?? 'none', scope),
    backplane: resolveBackplane(options.backplane),
    leaseWait: parseDuration('leaseWait', options.leaseWait ?? DEFAULTS.leaseWait, { infinite: true }),
    clockSkew: parseDuration('clockSkew', options.clockSkew ?? (tiers.length === 0 ? 0 : DEFAULTS.clockSkew)),
    softTimeout: parseDuration('softTimeout', options.softTimeout ?? Infinity, { infinite: true }),
    errorBackoff: resolveBackoff(options.errorBackoff),
    flights: {
      ...resolveFlightOptions<string>(flightOptionsOf(options, clock)),
      leases: scope === 'request' ? new Leases() : undefined,
    },
    scope,
    writeBack,
    readTimeout: parseDuration('readTimeout', options.readTimeout ?? DEFAULTS.readTimeout, {
      zero: false,
      infinite: true,
    }),
    writeTimeout: parseDuration('writeTimeout', options.writeTimeout ?? DEFAULTS.writeTimeout, {
      zero: false,
      infinite: true,
    }),
    defer,
    clock,
  };
}

function flightOptionsOf<V>(options: TieredCacheOptions<V>, clock: Clock): SingleflightOptions {
  const {
    maxSubscribers = Infinity,
    maxDuration = DEFAULTS.maxDuration,
    maxFlights = Infinity,
    coalesce = true,
    asyncContext,
  } = options;
  return {
    maxSubscribers,
    maxDuration,
    maxFlights,
    coalesce,
    clock,
    ...(asyncContext === undefined ? {} : { asyncContext }),
  };
}

function resolveRefreshAhead(ahead: RefreshAhead | undefined): RefreshAhead | undefined {
  if (ahead === undefined || (typeof ahead === 'number' && ahead > 0 && ahead < 1)) return ahead;
  const beta: unknown = Object(ahead).beta;
  if (typeof beta === 'number' && beta > 0 && beta < Infinity) return ahead;
  throw misuse('refreshAhead', 'a number between 0 and 1, or { beta } with a number > 0', ahead);
}

function resolveBackplane(backplane: Backplane | undefined): Backplane | undefined {
  if (backplane !== undefined) checkMethods('backplane', 'a backplane', backplane, ['publish', 'subscribe']);
  return backplane;
}

function resolveJitter(jitter: unknown): number {
  if (typeof jitter === 'number' && jitter >= 0 && jitter < 1) return jitter;
  throw misuse('jitter', 'a number in [0, 1)', jitter);
}

function resolveIsolation(isolate: unknown, scope: Scope): Isolation {
  const isolation = isolationOf(isolate);
  if (isolation === undefined) throw misuse('isolate', "'none', 'freeze' or 'clone'", isolate);
  return scope === 'request' ? plainOnly(isolation) : isolation;
}

function resolveBackoff(backoff: TieredCacheOptions<unknown>['errorBackoff']): CacheSettings<unknown>['errorBackoff'] {
  if (backoff === undefined) return DEFAULTS.errorBackoff;
  checkObject('errorBackoff', backoff);
  const initial = parseDuration('errorBackoff.initial', backoff.initial);
  const max = parseDuration('errorBackoff.max', backoff.max);
  if (max < initial) throw misuse('errorBackoff.max', 'at least `errorBackoff.initial`', backoff.max);
  return { initial, max };
}
