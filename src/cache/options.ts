import { checkClock, checkFunction, checkMethods, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import { isolationOf, type Isolate, type Isolation } from '../base/isolation.js';
import {
  CONNECT,
  type Backplane,
  type BackplaneAdapter,
  type Clock,
  type Duration,
  type InferredUpstream,
  type MemoryTier,
  type Scope,
  type StorageTier,
  type Upstream,
  type Writes,
} from '../contracts.js';
import { misuse } from '../errors.js';
import type { Claims } from '../flights/claims.js';
import type { AsyncContext, FlightMapOptions } from '../flights/flight-map.js';
import { resolveFlightOptions } from '../flights/options.js';
import type { ConnectedTier, PeersConnector, ScopePort, WritesConnector } from '../ports.js';
import type { DeferReason } from '../read/deferred.js';
import { resolveLifetime, type LifetimeOptions, type LifetimeSettings } from '../read/lifetime.js';
import { gathering, resolveBatch, type BatchOptions, type LoadMany } from '../read/load-many.js';
import type { ReadRules } from '../read/reads.js';
import type { RefreshAhead } from '../read/refresh-ahead.js';
import { defaultScope } from './default-scope.js';

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
   * `getMany` or one by one. The turn ends when no promise is left to be settled. Without `upstream` it loads single keys as well.
   */
  readonly loadMany?: LoadMany<V>;
  /** Widens or bounds the batches of `loadMany`. @default one turn, any number of keys */
  readonly batch?: BatchOptions | undefined;
  /**
   * Takes `set` and `update` to the source of truth before the tiers get the value: `writeThrough` at once, a `WriteBehind` from
   * `soloflight/writes` later, in batches, and reads see what is pending there. Namespaces are not offered with it: it is
   * told keys alone. @default none: a `set` changes the cache only
   */
  readonly writes?: Writes<V>;
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
   * structured clone (`'clone'`, which costs a clone per read).
   *
   * The content of a Map, Set, Date or buffer can't be frozen: with `'freeze'`, a value that holds one is copied for each
   * caller. Instances of other classes in it are frozen and shared. @default 'none'
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
  /** Deadline of one storage read; beyond it the read is a miss. A tier may have one of its own. @default '1s' */
  readonly readTimeout?: Duration;
  /** Deadline of one storage write. A tier may have one of its own. @default '5s' */
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
   * What callers have in common: one I/O context (`'shared'`: Node, browsers, Durable Objects), or none (`requestScope()`:
   * plain Workers, where a request that ends takes its I/O with it). With the latter no caller ever waits for another
   * request longer than that shows signs of life, and values must be plain data. @default requestScope() where the `workerd` condition holds, else 'shared'
   */
  readonly scope?: 'shared' | Scope;
  /** Time, timers and randomness, replaced in tests. @default systemClock */
  readonly clock?: Clock;
}

/** Options whose `V` is known before the upstream is looked at: by a type argument, or by an upstream without parameters. */
export type TypedOptions<V> = TieredCacheOptions<V> & (unknown extends V ? never : unknown);

/** Options whose `V` follows from what the upstream returns. */
export interface InferredOptions<V> extends Omit<TieredCacheOptions<V>, 'upstream'> {
  /** As in {@link TieredCacheOptions}. The value of `load.stale` is `any` here: its type is not known yet. */
  readonly upstream?: InferredUpstream<V> | undefined;
}

/** {@link TieredCacheOptions}, checked, parsed and complete. Durations are milliseconds. */
export interface CacheSettings<V> {
  /** Names around the keys in storage. */
  readonly space: readonly string[];
  readonly lifetime: LifetimeSettings<V>;
  readonly memory: MemoryTier<V> | false | undefined;
  readonly upstream: Upstream<V> | undefined;
  /** What it loads by, as the user gave it. */
  readonly source: object | undefined;
  readonly rules: ReadRules;
  readonly storage: readonly ConnectedTier[];
  readonly peers: { readonly adapter: BackplaneAdapter; readonly connector: PeersConnector } | undefined;
  readonly writes: WritesConnector<V> | undefined;
  readonly scope: ScopePort | undefined;
  readonly flights: FlightMapOptions<string>;
  readonly errorBackoff: { readonly initial: number; readonly max: number };
  readonly claims: Claims | undefined;
  readonly clockSkew: number;
  readonly leaseWait: number;
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;
  readonly clock: Clock;
}

const NAMES = (
  'ttl staleWhileRevalidate staleIfError tags name memory storage upstream loadMany batch writes absentTtl errorTtl refreshAhead ' +
  'jitter isolate clockSkew leaseWait backplane softTimeout errorBackoff maxDuration maxSubscribers maxFlights coalesce ' +
  'writeBack readTimeout writeTimeout defer asyncContext scope clock'
).split(' ');

/** Checks the options of a cache and fills in the defaults. */
export function resolveCacheOptions<V>(options: TieredCacheOptions<V>): CacheSettings<V> {
  checkObject('options', options);
  checkNames(options, NAMES);
  const { name, memory, storage = [], upstream, loadMany, defer, clock = systemClock } = options;
  const { backplane, writes, batch } = options;
  if (options.ttl === undefined)
    throw misuse('ttl', "set: how long is a value fresh? For example `ttl: '10s'`", options.ttl);
  if (name !== undefined && (typeof name !== 'string' || name === '')) throw misuse('name', 'a non-empty string', name);
  if (memory !== undefined && memory !== false) checkMemory(memory);
  checkFunction('upstream', upstream);
  checkFunction('loadMany', loadMany);
  checkFunction('defer', defer);
  checkClock(clock);
  const scope = resolveScope(options.scope);
  const limits = batch && resolveBatch(batch, clock, scope === undefined);
  const tiers: readonly StorageTier[] = Array.isArray(storage) ? storage : [storage];
  const flights = resolveFlightOptions<string>(options);
  const duration = (option: DurationOption, otherwise: number, zero = true): number =>
    parseDuration(option, options[option] ?? otherwise, { zero, infinite: option !== 'clockSkew' });
  return {
    space: name === undefined ? [] : [name],
    lifetime: resolveLifetime(options, options.ttl),
    memory,
    upstream: loadMany === undefined ? upstream : gathering(loadMany, upstream, limits),
    source: loadMany ?? upstream,
    rules: resolveRules(options, scope),
    storage: tiers.map((adapter) => ({ adapter, connector: connectorOf('storage', adapter, STORAGE_CURE) })),
    peers: backplane && { adapter: backplane, connector: connectorOf('backplane', backplane, PEERS_CURE) },
    writes: writes && connectorOf('writes', writes, WRITES_CURE),
    scope,
    flights,
    claims: scope?.claims(clock, flights.maxDuration),
    errorBackoff: resolveBackoff(options.errorBackoff),
    clockSkew: duration('clockSkew', tiers.length === 0 ? 0 : 1_000),
    leaseWait: duration('leaseWait', 10_000),
    readTimeout: duration('readTimeout', 1_000, false),
    writeTimeout: duration('writeTimeout', 5_000, false),
    defer: defer ?? scope?.waitUntil,
    clock,
  };
}

function checkMemory<V>(memory: MemoryTier<V>): void {
  checkMethods('memory', 'a memory tier or false', memory, ['get', 'peek', 'set', 'delete', 'clear']);
  const { ttl } = memory;
  if (ttl !== undefined && !(typeof ttl === 'number' && ttl > 0))
    throw misuse('memory.ttl', 'milliseconds > 0, as a number', ttl);
}

type DurationOption = 'clockSkew' | 'leaseWait' | 'readTimeout' | 'writeTimeout';

const STORAGE_CURE = 'a storage tier or an array of them. An adapter becomes one by `defineStorage(adapter)`';
const PEERS_CURE = 'a backplane. An adapter becomes one by `defineBackplane(adapter)`';
const WRITES_CURE = 'a WriteBehind, sharedWrites, or `writeThrough((key, value) => …)`';

/** What `value` brings of its own. */
function connectorOf(name: string, value: unknown, cure: string): never {
  const connector = (Object(value) as { readonly [CONNECT]?: unknown })[CONNECT];
  if (connector === undefined) throw misuse(name, cure, value);
  // What it is, only its maker knows: `never` is any of them.
  return connector as never;
}

function resolveScope(scope: unknown = defaultScope()): ScopePort | undefined {
  if (scope === 'shared') return undefined;
  const { kind, [CONNECT]: port } = Object(scope) as Partial<Scope>;
  if (kind !== 'request') throw misuse('scope', "'shared' or requestScope()", scope);
  return port as ScopePort;
}

function resolveRules<V>(options: TieredCacheOptions<V>, scope: ScopePort | undefined): ReadRules {
  const { errorTtl = 0, writeBack = 'defer', jitter = 0, refreshAhead } = options;
  if (writeBack !== 'defer' && writeBack !== 'await') throw misuse('writeBack', "'defer' or 'await'", writeBack);
  if (!(typeof jitter === 'number' && jitter >= 0 && jitter < 1)) throw misuse('jitter', 'a number in [0, 1)', jitter);
  const isolation = resolveIsolation(options.isolate ?? 'none');
  return {
    absentTtl: parseDuration('absentTtl', options.absentTtl ?? 0, { infinite: true }),
    errorTtl: typeof errorTtl === 'function' ? errorTtl : parseDuration('errorTtl', errorTtl),
    refreshAhead: resolveRefreshAhead(refreshAhead),
    jitter,
    isolation: scope?.isolation(isolation) ?? isolation,
    softTimeout: parseDuration('softTimeout', options.softTimeout ?? Infinity, { infinite: true }),
    writeBack,
  };
}

function resolveRefreshAhead(ahead: RefreshAhead | undefined): RefreshAhead | undefined {
  if (ahead === undefined || (typeof ahead === 'number' && ahead > 0 && ahead < 1)) return ahead;
  const beta: unknown = Object(ahead).beta;
  if (typeof beta === 'number' && beta > 0 && beta < Infinity) return ahead;
  throw misuse('refreshAhead', 'a number between 0 and 1, or { beta } with a number > 0', ahead);
}

function resolveIsolation(isolate: unknown): Isolation {
  const isolation = isolationOf(isolate);
  if (isolation === undefined) throw misuse('isolate', "'none', 'freeze' or 'clone'", isolate);
  return isolation;
}

function resolveBackoff(backoff: TieredCacheOptions<unknown>['errorBackoff']): CacheSettings<unknown>['errorBackoff'] {
  if (backoff === undefined) return { initial: 1_000, max: 30_000 };
  checkObject('errorBackoff', backoff);
  const initial = parseDuration('errorBackoff.initial', backoff.initial);
  const max = parseDuration('errorBackoff.max', backoff.max);
  if (max < initial) throw misuse('errorBackoff.max', 'at least `errorBackoff.initial`', backoff.max);
  return { initial, max };
}
