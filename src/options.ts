import { systemClock } from './clock.js';
import type { Clock, Duration, LoadControl, MemoryTier, StorageTier, Upstream } from './contracts.js';
import { parseDuration } from './duration.js';
import type { Windows } from './entry.js';
import { misuse } from './errors.js';
import type { AsyncContext, FlightEvent, FlightMapOptions } from './flight-map.js';
import { checkClock, checkCount, checkFunction, checkMethods, checkNames, checkObject, checkSignal, checkTags, checkTier } from './option-checks.js';

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

/** How long values live. */
export interface LifetimeOptions<V> {
  /** How long a value is fresh, or a function of the value. `Infinity` is allowed; 0 without other windows stores nothing. */
  readonly ttl?: Duration | ((value: V, key: string) => Duration);
  /** How long after the ttl a value is still served while it is reloaded. `Infinity` is allowed. @default 0 @see RFC 5861 §3 */
  readonly staleWhileRevalidate?: Duration;
  /** How long after the ttl a value is served when the load fails. `Infinity` is allowed. @default 0 @see RFC 5861 §4 */
  readonly staleIfError?: Duration;
  /** Groups the value belongs to; kept with the entry. */
  readonly tags?: readonly string[];
}

/** Why work was handed to `defer`. */
export type DeferReason = 'revalidate' | 'write-back' | 'load';

/** Options of `TieredCache`. Durations are milliseconds or strings such as `'10s'`. */
export interface TieredCacheOptions<V> extends LifetimeOptions<V> {
  /** How long a value is fresh, or a function of the value. Required: there is no honest default. */
  readonly ttl: Duration | ((value: V, key: string) => Duration);
  /** Label in events. @default 'soloflight' */
  readonly name?: string;
  /** The memory tier, or `false` for none. @default lruMemory({ max: 10_000 }) */
  readonly memory?: MemoryTier<V> | false;
  /** One storage tier, or several, nearest first. @default none */
  readonly storage?: StorageTier | readonly StorageTier[];
  /** Loads what no tier has. Without it, use `getOrLoad`. */
  readonly upstream?: Upstream<V>;
  /** How long "not there" (`undefined` from the upstream) is remembered; 0 not at all. @default 0 */
  readonly absentTtl?: Duration;
  /** How long a failure without a fallback is remembered in memory; 0 not at all. Aborts and timeouts never are. @default 0 */
  readonly errorTtl?: Duration | ((error: unknown) => Duration);
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
  /** Told of work nobody waits for, for example to hand it to `waitUntil`. The promise never rejects. */
  readonly defer?: (work: Promise<void>, reason: DeferReason) => void;
  /** Detects loads that wait for their own key: an `AsyncLocalStorage`. */
  readonly asyncContext?: AsyncContext;
  /** Time, timers and randomness, replaced in tests. @default systemClock */
  readonly clock?: Clock;
}

/** Options of one read. They bind this caller only. */
export interface ReadOptions {
  /** Aborts this caller's wait; the load is aborted only when nobody is left. */
  readonly signal?: AbortSignal;
  /** How stale an answer this caller accepts: time since `freshUntil`. 0 means fresh only. @default Infinity */
  readonly maxStale?: Duration;
  /** Overrides the cache's `softTimeout`. */
  readonly softTimeout?: Duration;
  /** This caller's patience: beyond it, a fallback or `CallerTimeoutError`. The load goes on. @default Infinity */
  readonly timeout?: Duration;
  /** Takes background work that this read started, as a Worker's `waitUntil` does. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
}

/** {@link ReadOptions}, checked and parsed. */
export interface ReadSettings {
  readonly signal: AbortSignal | undefined;
  readonly maxStale: number;
  readonly softTimeout: number | undefined;
  readonly timeout: number;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

/** {@link LifetimeOptions}, checked and parsed. */
export interface LifetimeSettings<V> {
  readonly ttl: number | ((value: V, key: string) => Duration);
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly tags: readonly string[] | undefined;
}

/** {@link TieredCacheOptions}, checked, parsed and complete. */
export interface CacheSettings<V> {
  readonly name: string;
  readonly lifetime: LifetimeSettings<V>;
  readonly memory: MemoryTier<V> | false | undefined;
  readonly storage: readonly StorageTier[];
  readonly upstream: Upstream<V> | undefined;
  readonly absentTtl: number;
  readonly errorTtl: number | ((error: unknown) => Duration);
  readonly softTimeout: number;
  readonly errorBackoff: { readonly initial: number; readonly max: number };
  readonly flights: FlightMapOptions<string>;
  readonly writeBack: 'defer' | 'await';
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;
  readonly clock: Clock;
}

const DEFAULTS = Object.freeze({
  name: 'soloflight',
  maxDuration: 30_000,
  readTimeout: 1_000,
  writeTimeout: 5_000,
  errorBackoff: Object.freeze({ initial: 1_000, max: 30_000 }),
});

const FLIGHT_OPTIONS = ['maxSubscribers', 'maxDuration', 'maxFlights', 'coalesce', 'clock', 'onEvent', 'asyncContext'] as const;
const CACHE_OPTIONS = [
  ...(['ttl', 'staleWhileRevalidate', 'staleIfError', 'tags', 'name', 'memory', 'storage', 'upstream', 'absentTtl', 'errorTtl'] as const),
  ...(['softTimeout', 'errorBackoff', 'maxDuration', 'maxSubscribers', 'maxFlights', 'coalesce', 'writeBack', 'readTimeout'] as const),
  ...(['writeTimeout', 'defer', 'asyncContext', 'clock'] as const),
];

/** Checks the options that flights have. */
export function resolveFlightOptions<K>(options: SingleflightOptions<K>): FlightMapOptions<K> {
  checkObject('options', options);
  checkNames(options, FLIGHT_OPTIONS);
  const { maxSubscribers = Infinity, maxDuration = DEFAULTS.maxDuration, maxFlights = Infinity, coalesce = true } = options;
  const { clock = systemClock, onEvent, asyncContext } = options;
  checkCount('maxSubscribers', maxSubscribers);
  checkCount('maxFlights', maxFlights);
  if (typeof coalesce !== 'boolean' && typeof coalesce !== 'function') throw misuse('coalesce', 'a boolean or a function', coalesce);
  checkFunction('onEvent', onEvent);
  checkClock(clock);
  if (asyncContext !== undefined && (typeof asyncContext?.run !== 'function' || typeof asyncContext.getStore !== 'function')) {
    throw misuse('asyncContext', 'an AsyncLocalStorage', asyncContext);
  }
  const longest = parseDuration('maxDuration', maxDuration, { zero: false, infinite: true });
  return { maxSubscribers, maxFlights, maxDuration: longest, coalesce, clock, onEvent, asyncContext };
}

/** Checks the options of a cache and fills in the defaults. */
export function resolveCacheOptions<V>(options: TieredCacheOptions<V>): CacheSettings<V> {
  checkObject('options', options);
  checkNames(options, CACHE_OPTIONS);
  const { name = DEFAULTS.name, memory, storage = [], upstream, errorTtl = 0, writeBack = 'defer', defer, clock = systemClock } = options;
  if (options.ttl === undefined) throw misuse('ttl', 'set: how long is a value fresh? For example `ttl: \'10s\'`', options.ttl);
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a non-empty string', name);
  if (memory !== undefined && memory !== false) checkMethods('memory', 'a memory tier or false', memory, ['get', 'peek', 'set', 'delete', 'clear']);
  const tiers = Array.isArray(storage) ? (storage as readonly StorageTier[]) : [storage as StorageTier];
  for (const tier of tiers) checkTier(tier);
  checkFunction('upstream', upstream);
  checkFunction('defer', defer);
  if (writeBack !== 'defer' && writeBack !== 'await') throw misuse('writeBack', "'defer' or 'await'", writeBack);
  return {
    name,
    lifetime: resolveLifetime(options, options.ttl),
    memory,
    storage: tiers,
    upstream,
    absentTtl: parseDuration('absentTtl', options.absentTtl ?? 0, { infinite: true }),
    errorTtl: typeof errorTtl === 'function' ? errorTtl : parseDuration('errorTtl', errorTtl),
    softTimeout: parseDuration('softTimeout', options.softTimeout ?? Infinity, { infinite: true }),
    errorBackoff: resolveBackoff(options.errorBackoff),
    flights: resolveFlightOptions<string>(flightOptionsOf(options, clock)),
    writeBack,
    readTimeout: parseDuration('readTimeout', options.readTimeout ?? DEFAULTS.readTimeout, { zero: false, infinite: true }),
    writeTimeout: parseDuration('writeTimeout', options.writeTimeout ?? DEFAULTS.writeTimeout, { zero: false, infinite: true }),
    defer,
    clock,
  };
}

function flightOptionsOf<V>(options: TieredCacheOptions<V>, clock: Clock): SingleflightOptions {
  const { maxSubscribers = Infinity, maxDuration = DEFAULTS.maxDuration, maxFlights = Infinity, coalesce = true, asyncContext } = options;
  return { maxSubscribers, maxDuration, maxFlights, coalesce, clock, ...(asyncContext === undefined ? {} : { asyncContext }) };
}

function resolveBackoff(backoff: TieredCacheOptions<unknown>['errorBackoff']): CacheSettings<unknown>['errorBackoff'] {
  if (backoff === undefined) return DEFAULTS.errorBackoff;
  checkObject('errorBackoff', backoff);
  const initial = parseDuration('errorBackoff.initial', backoff.initial);
  const max = parseDuration('errorBackoff.max', backoff.max);
  if (max < initial) throw misuse('errorBackoff.max', 'at least `errorBackoff.initial`', backoff.max);
  return { initial, max };
}

/** Checks lifetime options; what is absent comes from `defaults`. */
export function resolveLifetime<V>(
  options: LifetimeOptions<V>,
  ttl: LifetimeOptions<V>['ttl'],
  defaults?: LifetimeSettings<V>,
): LifetimeSettings<V> {
  checkTags(options.tags);
  const window = (name: 'staleWhileRevalidate' | 'staleIfError'): number =>
    parseDuration(name, options[name] ?? defaults?.[name] ?? 0, { infinite: true });
  return {
    ttl: typeof ttl === 'function' ? ttl : parseDuration('ttl', ttl, { infinite: true }),
    staleWhileRevalidate: window('staleWhileRevalidate'),
    staleIfError: window('staleIfError'),
    tags: options.tags ?? defaults?.tags,
  };
}

/**
 * The windows of one value. A `ttl` function is called here and may throw.
 *
 * `control` is what the upstream said of this very value, and wins.
 */
export function windowsOf<V>(lifetime: LifetimeSettings<V>, value: V, key: string, control: LoadControl): Windows {
  const ttl = control.ttl ?? (typeof lifetime.ttl === 'function' ? lifetime.ttl(value, key) : lifetime.ttl);
  return {
    ttl: parseDuration('ttl', ttl, { infinite: true }),
    staleWhileRevalidate: parseDuration('staleWhileRevalidate', control.staleWhileRevalidate ?? lifetime.staleWhileRevalidate, { infinite: true }),
    staleIfError: parseDuration('staleIfError', control.staleIfError ?? lifetime.staleIfError, { infinite: true }),
  };
}

/** Checks what an upstream said of a value. */
export function checkControl(control: LoadControl): void {
  checkObject('control', control);
  for (const name of ['ttl', 'staleWhileRevalidate', 'staleIfError'] as const) {
    if (control[name] !== undefined) parseDuration(name, control[name], { infinite: true });
  }
  checkTags(control.tags);
  if (control.store !== undefined && typeof control.store !== 'boolean') throw misuse('store', 'false or absent', control.store);
}

/** What a read without options asks for. */
export const ANY_READ: ReadSettings = Object.freeze({
  signal: undefined,
  maxStale: Infinity,
  softTimeout: undefined,
  timeout: Infinity,
  waitUntil: undefined,
});

/** Checks the options of one read. */
export function resolveRead(options: ReadOptions | undefined): ReadSettings {
  if (options === undefined) return ANY_READ;
  checkObject('options', options);
  const { signal, maxStale, softTimeout, timeout, waitUntil } = options;
  checkSignal(signal);
  checkFunction('waitUntil', waitUntil);
  return {
    signal,
    maxStale: maxStale === undefined ? Infinity : parseDuration('maxStale', maxStale, { infinite: true }),
    softTimeout: softTimeout === undefined ? undefined : parseDuration('softTimeout', softTimeout, { infinite: true }),
    timeout: timeout === undefined ? Infinity : parseDuration('timeout', timeout, { infinite: true }),
    waitUntil,
  };
}
