import { checkObject } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import { known, type ObservedCache } from './observed.js';
import { Watch, type Seen } from './watch.js';

/** A piece of advice. */
export interface Advice {
  readonly code: AdviceCode;
  /** `mistake`: something does not do what it is there for. `risk`: it may go wrong. `hint`: it could be cheaper. */
  readonly severity: 'mistake' | 'risk' | 'hint';
  readonly message: string;
  /** The evidence, and the thresholds that it passed. */
  readonly because: Readonly<Record<string, number | string>>;
  /** What to do about it. */
  readonly change: string;
}

/** The codes of {@link Advice}. */
export type AdviceCode = `ADVICE_${
  | 'SHARED_WITHOUT_NAME'
  | 'FLEET_WITHOUT_BACKPLANE'
  | 'BACKPLANE_WITHOUT_STORAGE'
  | 'FALLBACK_NEVER'
  | 'TIMEOUT_INVERTED'
  | 'MEMORY_OFF_HOT'
  | 'KEYS_UNIQUE'
  | 'TTL_SHORTER_THAN_LOAD'
  | 'EXPIRE_TOGETHER'
  | 'MEMORY_CHURN'
  | 'ABSENT_REPEATED'
  | 'COALESCE_OFF'
  | 'NEVER_COALESCED'}`;

/** The options that a cache was made with, as far as advice goes by them: the object that its constructor took will do. */
export interface AdvisedOptions {
  readonly name?: string | undefined;
  readonly ttl?: unknown;
  readonly staleWhileRevalidate?: Duration | undefined;
  readonly staleIfError?: unknown;
  readonly memory?: unknown;
  readonly storage?: unknown;
  readonly backplane?: unknown;
  readonly jitter?: number | undefined;
  readonly absentTtl?: Duration | undefined;
  readonly softTimeout?: Duration | undefined;
  readonly errorBackoff?: unknown;
  readonly maxDuration?: Duration | undefined;
  readonly readTimeout?: Duration | undefined;
  readonly leaseWait?: Duration | undefined;
  readonly coalesce?: boolean | (() => boolean) | undefined;
  readonly clock?: Clock | undefined;
}

/** The options, with durations in milliseconds; `undefined`: not known, or a function of the value. */
interface Setup {
  readonly options: AdvisedOptions;
  readonly tiers: readonly { readonly name?: unknown; readonly forgets?: unknown }[];
  readonly isShared: boolean;
  readonly ttl: number | undefined;
  readonly ms: (name: 'softTimeout' | 'maxDuration' | 'readTimeout' | 'leaseWait' | 'absentTtl', or: number) => number;
}

const watches = new WeakMap<object, Watch>();
/** Tiers that several processes use, as a rule. Others say `forgets`. */
const SHARED: readonly unknown[] = ['redis', 'workers-kv'];

const SECOND = 1_000;
const HOUR = 3_600_000;
/** Below so many reads or loads nothing is concluded. */
const ENOUGH = 10_000;
const SOME = 1_000;

/**
 * Advice on `cache`, by its options and by what was observed since the first call. Reads alone, and changes nothing.
 *
 * The first call begins to watch: loads and sets are counted, reads cost nothing. Call it again after some traffic, for example
 * every five minutes. Without `options` (those that the cache was made with) only what can be observed is looked at.
 *
 * @throws TypeError for what is no cache, or options that are no object.
 */
export function advise(cache: ObservedCache, options?: AdvisedOptions): readonly Advice[] {
  if (known(cache).kind !== 'cache') throw misuse('cache', 'a TieredCache', cache);
  if (options !== undefined) checkObject('options', options);
  let watch = watches.get(cache);
  if (watch === undefined) watches.set(cache, (watch = new Watch(cache, options?.clock)));
  const setup = options && setupOf(options);
  const { seen } = watch;
  return [
    ...(setup === undefined ? [] : [...byOptions(setup), ...byBoth(setup, seen), ...coalesceOff(setup, watch)]),
    ...byTraffic(seen),
  ];
}

function setupOf(options: AdvisedOptions): Setup {
  const { storage = [], ttl } = options;
  const tiers = (Array.isArray(storage) ? storage : [storage]) as Setup['tiers'];
  return {
    options,
    tiers,
    isShared: tiers.some(({ name, forgets }) => forgets === true || SHARED.includes(name)),
    ttl: typeof ttl === 'function' ? undefined : milliseconds('ttl', ttl),
    ms: (name, or) => milliseconds(name, options[name]) ?? or,
  };
}

function milliseconds(name: string, value: unknown): number | undefined {
  if (value === undefined || typeof value === 'function') return undefined;
  return parseDuration(name, value, { infinite: true });
}

function* byOptions({ options, tiers, isShared, ttl, ms }: Setup): Iterable<Advice> {
  const { name, memory, backplane } = options;
  if (isShared && name === undefined)
    yield {
      ...{ code: 'ADVICE_SHARED_WITHOUT_NAME', severity: 'risk' },
      message: 'Other programs that use the same storage would read and overwrite these entries',
      because: { storage: namesOf(tiers) },
      change: "give the cache a `name`, such as `name: 'posts'`",
    };
  if (isShared && memory !== false && backplane === undefined && ttl !== undefined && ttl > 10 * SECOND)
    yield {
      ...{ code: 'ADVICE_FLEET_WITHOUT_BACKPLANE', severity: 'risk' },
      message: 'Other processes go on serving from memory what this one has invalidated, until its ttl ends',
      because: { ttl, threshold: 10 * SECOND, storage: namesOf(tiers) },
      change: 'pass a `backplane`, or a memory with a short `ttl`',
    };
  if (backplane !== undefined && tiers.length === 0)
    yield {
      ...{ code: 'ADVICE_BACKPLANE_WITHOUT_STORAGE', severity: 'hint' },
      message:
        "Each `set` drops the key in the other processes' memory, and they find the new value nowhere: they load it",
      because: { storage: 'none' },
      change: 'pass a `storage` that the processes share',
    };
  const stale = milliseconds('staleWhileRevalidate', options.staleWhileRevalidate) ?? 0;
  const fallback = windowOf(options.staleIfError);
  if ((options.errorBackoff !== undefined || options.softTimeout !== undefined) && stale === 0 && fallback === 0)
    yield {
      ...{ code: 'ADVICE_FALLBACK_NEVER', severity: 'mistake' },
      message: '`errorBackoff` and `softTimeout` go by stored values that stand in, and none ever does',
      because: { staleWhileRevalidate: stale, staleIfError: fallback },
      change: "set `staleIfError`, for example `'1h'`",
    };
  const [soft, most] = [ms('softTimeout', Infinity), ms('maxDuration', 30 * SECOND)];
  const [read, wait] = [ms('readTimeout', SECOND), ms('leaseWait', 10 * SECOND)];
  if (tiers.length > 0 && read >= soft)
    yield inverted('A slow storage uses up the whole `softTimeout`', { readTimeout: read, softTimeout: soft });
  if (isShared && wait > most)
    yield inverted('A flight ends before its wait for another process does', { leaseWait: wait, maxDuration: most });
}

function inverted(message: string, because: Readonly<Record<string, number>>): Advice {
  const [inner = '', outer = ''] = Object.keys(because);
  const change = `make \`${inner}\` shorter than \`${outer}\``;
  return { code: 'ADVICE_TIMEOUT_INVERTED', severity: 'mistake', message, because, change };
}

/** `staleIfError` in milliseconds, which may come with a condition. */
function windowOf(given: unknown): number {
  const { for: window = given } = Object(given) as { readonly for?: unknown };
  return milliseconds('staleIfError', window) ?? 0;
}

function* byBoth({ options, tiers, ttl, ms }: Setup, seen: Seen): Iterable<Advice> {
  const { now, lasted } = seen;
  const reads = readsOf(seen);
  const perSecond = (reads / Math.max(1, lasted)) * SECOND;
  if (options.memory === false && tiers.length > 0 && reads >= ENOUGH && perSecond >= SOME)
    yield {
      ...{ code: 'ADVICE_MEMORY_OFF_HOT', severity: 'hint' },
      message: 'Each of many reads goes to storage',
      because: { readsPerSecond: Math.round(perSecond), threshold: SOME },
      change: 'use a memory with a short `ttl`, for example `lruMemory({ max: 10_000, ttl: 1_000 })`',
    };
  const { p99, count } = now.loadLatency;
  if (ttl !== undefined && ttl > 0 && count >= 100 && p99 > ttl)
    yield {
      ...{ code: 'ADVICE_TTL_SHORTER_THAN_LOAD', severity: 'mistake' },
      message: 'Values are fresh for a shorter time than it takes to load them',
      because: { p99: Math.round(p99), ttl, loads: count },
      change: 'raise `ttl`, or set `staleWhileRevalidate`',
    };
  const even = ttl === undefined ? Infinity : (now.size / ttl) * SECOND;
  const together = seen.mostInOneSecond / Math.max(1, now.size);
  if ((options.jitter ?? 0) === 0 && now.size >= SOME && together > 0.05 && seen.mostInOneSecond > 3 * even)
    yield {
      ...{ code: 'ADVICE_EXPIRE_TOGETHER', severity: 'risk' },
      message: 'Many values were loaded in one second and end in one second: their loads come together again',
      because: { loadsInOneSecond: seen.mostInOneSecond, entries: now.size, share: round(together), threshold: 0.05 },
      change: 'set `jitter: 0.1`',
    };
  const absent = seen.absent / Math.max(1, seen.loads);
  if (ms('absentTtl', 0) === 0 && seen.loads >= SOME && absent > 0.2)
    yield {
      ...{ code: 'ADVICE_ABSENT_REPEATED', severity: 'hint' },
      message: 'Many loads bring nothing, and that is not remembered',
      because: { share: round(absent), loads: seen.loads, threshold: 0.2 },
      change: "set `absentTtl`, for example `'10s'`",
    };
}

function* coalesceOff({ options: { coalesce } }: Setup, watch: Watch): Iterable<Advice> {
  const offFor = watch.offFor(isOff(coalesce));
  if (offFor < HOUR) return;
  yield {
    ...{ code: 'ADVICE_COALESCE_OFF', severity: 'risk' },
    message: 'Coalescing has been switched off: each caller loads for itself',
    because: { offForMs: offFor, threshold: HOUR },
    change: 'switch `coalesce` on again',
  };
}

/** A broken switch lets no stampede through, so it is on. */
function isOff(coalesce: AdvisedOptions['coalesce']): boolean {
  try {
    return (typeof coalesce === 'function' ? coalesce() : coalesce) === false;
  } catch {
    return false;
  }
}

function* byTraffic(seen: Seen): Iterable<Advice> {
  const { before, now, loads, sets, keys, keysOnce } = seen;
  const reads = readsOf(seen);
  const hits = now.hits + now.staleHits - before.hits - before.staleHits;
  const [ratio, once] = [hits / Math.max(1, reads), keysOnce / Math.max(1, keys)];
  const isUnique = reads >= ENOUGH && ratio < 0.05 && once > 0.9;
  if (isUnique)
    yield {
      ...{ code: 'ADVICE_KEYS_UNIQUE', severity: 'mistake' },
      message: 'Hardly any key is read twice: it may hold a timestamp or the id of a request',
      because: { hitRatio: round(ratio), seenOnce: round(once), reads },
      change: 'make the key of what the value depends on alone',
    };
  const evictions = now.evictions - before.evictions;
  const stored = loads + sets;
  if (!isUnique && stored >= SOME && evictions > stored / 2)
    yield {
      ...{ code: 'ADVICE_MEMORY_CHURN', severity: 'hint' },
      message: 'Memory drops most entries for others before they end',
      because: { evictions, stored, threshold: 0.5, keys },
      change: `raise \`max\` of memory, to ${keys} or more: so many keys were loaded`,
    };
  const joined = now.coalesced - before.coalesced;
  if (loads >= ENOUGH && joined === 0)
    yield {
      ...{ code: 'ADVICE_NEVER_COALESCED', severity: 'hint' },
      message: 'No two callers ever waited for one load: coalescing saves nothing here so far',
      because: { loads, joined },
      change: 'nothing, if traffic is low; else look at the keys',
    };
}

function readsOf({ before, now }: Seen): number {
  const sum = ({ hits, staleHits, misses, fallbacks }: typeof now): number => hits + staleHits + misses + fallbacks;
  return sum(now) - sum(before);
}

function round(share: number): number {
  return Number(share.toFixed(3));
}

function namesOf(tiers: Setup['tiers']): string {
  return tiers.map(({ name }) => String(name)).join(', ');
}
