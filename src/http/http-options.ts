import { checkClock, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { TieredCacheOptions } from '../cache/options.js';
import { TieredCache } from '../cache/tiered-cache.js';
import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import { lruMemory } from '../memory/lru.js';
import type { Ask } from './ask.js';
import { Detours } from './detours.js';
import { checkFeatures } from './feature.js';
import { sizeWithTags } from './response-size.js';
import { headerTags, prefixTags } from './response-tags.js';
import type { HttpFeature, HttpSettings } from './settings.js';
import { isFieldName, type StoredResponse } from './stored-response.js';
import { Variants } from './variants.js';

/** Options that all forms of the HTTP cache share. Durations are milliseconds or strings such as `'10s'`. */
export interface HttpCacheOptions {
  /**
   * Where responses are kept: a cache of yours, or the options of one. A codec of a storage tier must keep
   * byte arrays, as the default one does. @default a memory tier of 100 MB, keys and headers included
   */
  readonly cache?:
    | TieredCache<StoredResponse>
    | Omit<Partial<TieredCacheOptions<StoredResponse>>, keyof typeof INSTEAD>;
  /**
   * Whether several users share the cache: then `private`, `Authorization`, `Cookie` and `Set-Cookie` keep responses out
   * of it. With `false` it keeps these, for each value of `Authorization` and `Cookie` apart. It can't see the cookies that
   * a browser adds by itself: clear the cache when its user changes. @default true
   */
  readonly shared?: boolean;
  /** The cache key of a request, or `undefined` to bypass the cache. @default its URL without fragment */
  readonly key?: (request: Request) => string | undefined;
  /** The lifetime of responses that state none, and are cacheable by their status. @default 0 */
  readonly defaultTtl?: Duration;
  /**
   * How long a response is fresh, whatever it says itself; `undefined` leaves it to the response. Also for errors, so that
   * a failing origin is asked less often. Does not make storable what is `no-store`, `private` or for one user, nor reusable what says `no-cache`.
   */
  readonly lifetime?: (request: Request, response: Response) => Duration | undefined;
  /** How long responses that state no `stale-while-revalidate` are still served while they are renewed. Not where `must-revalidate`, `s-maxage` or an error forbids it. @default 0 */
  readonly defaultStaleWhileRevalidate?: Duration;
  /** How long responses that state no `stale-if-error` stand in for a failing origin, within the same limits. @default 0 */
  readonly defaultStaleIfError?: Duration;
  /** Whether responses without a lifetime are fresh for a tenth of the time since `Last-Modified`, at most a day. @default false @see RFC 9111 §4.2.2 */
  readonly heuristic?: boolean;
  /** The largest body that is kept, in bytes; larger ones stream through. At least 0. @default 5_242_880 */
  readonly maxBodySize?: number;
  /** Safe methods that are answered from the cache. @default ['GET', 'HEAD'] */
  readonly methods?: readonly ('GET' | 'HEAD')[];
  /** Whether requests with these methods never reach the origin: one without a cached answer gets a 504. @default false */
  readonly onlyIfCached?: boolean;
  /** Whether the `Cache-Control` and `Pragma` of requests count. A server need not let strangers reach its origin: `'ignore'`. @default 'respect' */
  readonly clientCacheControl?: 'respect' | 'ignore';
  /** Names the cache in `Cache-Status`; `false` leaves that header out. @default 'soloflight' */
  readonly name?: string | false;
  /** Whether `Cache-Status` shows the key. @default false */
  readonly showKey?: boolean;
  /** Response fields that override `Cache-Control`, most important first; `true` for `CDN-Cache-Control`. @default [] @see RFC 9213 */
  readonly targeted?: boolean | readonly string[];
  /** How long responses are kept once they are stale: for validation, as the way to their variants, and for clients that take them. @default '1d' */
  readonly retention?: Duration;
  /** How long the cache remembers that a key's answers could not be shared: its callers don't wait for each other. @default '2m' */
  readonly rememberUnshared?: Duration;
  /** Whether responses get a tag for each leading part of their path, for `invalidatePrefix`. @default false */
  readonly prefixTags?: boolean;
  /** What the cache can do besides, such as {@link byteRanges}. */
  readonly use?: readonly HttpFeature[];
  /** Takes background work, as a Worker's `waitUntil` does. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
  /** Time and chance, replaced in tests. @default that of `cache` if options are given there, else systemClock */
  readonly clock?: Clock;
}

/** The names of the options above. */
export const HTTP_OPTIONS: readonly (keyof HttpCacheOptions)[] = [
  ...(['cache', 'shared', 'key', 'defaultTtl', 'defaultStaleWhileRevalidate', 'defaultStaleIfError'] as const),
  ...(['heuristic', 'maxBodySize', 'methods', 'onlyIfCached', 'lifetime', 'clientCacheControl', 'name'] as const),
  ...(['showKey', 'targeted', 'retention', 'rememberUnshared', 'prefixTags', 'use', 'waitUntil', 'clock'] as const),
];

/** Options of a `TieredCache` that can do nothing here, since each response brings its lifetime and its tags, and what to use instead. */
const INSTEAD = {
  ttl: 'defaultTtl',
  absentTtl: 'defaultTtl',
  jitter: 'defaultTtl',
  staleWhileRevalidate: 'defaultStaleWhileRevalidate',
  refreshAhead: 'defaultStaleWhileRevalidate',
  softTimeout: 'defaultStaleWhileRevalidate',
  staleIfError: 'defaultStaleIfError',
  tags: 'prefixTags',
  upstream: 'fetch',
  loadMany: 'fetch',
} as const;

const DEFAULT_MEMORY = 100 * 1_024 * 1_024;
const DEFAULT_BODY = 5 * 1_024 * 1_024;

/** Checks the options of an HTTP cache and fills in the defaults. */
export function resolveHttpOptions(options: HttpCacheOptions, names: readonly string[]): HttpSettings {
  checkObject('options', options);
  checkNames(options, names);
  const { name, prefixTags, clientCacheControl, methods, ...plain } = withDefaults(options);
  checkFunction('key', options.key);
  checkFunction('lifetime', options.lifetime);
  checkFunction('waitUntil', options.waitUntil);
  type Option = 'defaultTtl' | 'defaultStaleWhileRevalidate' | 'defaultStaleIfError' | 'retention' | 'rememberUnshared';
  const duration = (option: Option, value: Duration): number => parseDuration(option, options[option] ?? value);
  const clock = clockOf(options);
  const tagsOf: HttpSettings['tagsOf'] = prefixTags
    ? (url, headers) => [...headerTags(headers), ...prefixTagsOf(url)]
    : (_url, headers) => headerTags(headers);
  const cache = cacheOf(options, clock, tagsOf);
  const settings: HttpSettings = {
    cache,
    read: (key, read) => cache.getIfCached(key, read),
    clock,
    detours: new Detours(clock, duration('rememberUnshared', '2m')),
    variants: new Variants(),
    features: checkFeatures(options.use),
    keyOf: keyFunction(options.key),
    methods: new Set(methods),
    isDeaf: clientCacheControl === 'ignore',
    lifetimeOf: lifetimeFunction(options.lifetime),
    ...plain,
    name: name === false ? undefined : name,
    defaultTtl: duration('defaultTtl', 0),
    staleWhileRevalidate: duration('defaultStaleWhileRevalidate', 0),
    staleIfError: duration('defaultStaleIfError', 0),
    retention: duration('retention', '1d'),
    targeted: targetedNames(options.targeted ?? false),
    tagsOf,
    canRevalidate: true,
    waitUntil: options.waitUntil,
  };
  return settings.features.reduce((all, { install }) => ({ ...all, ...install?.(all) }), settings);
}

/** Checks the options that are plain values. */
function withDefaults(options: HttpCacheOptions) {
  const { shared = true, heuristic = false, onlyIfCached = false, showKey = false, prefixTags = false } = options;
  const { maxBodySize = DEFAULT_BODY, methods = ['GET', 'HEAD'], name = 'soloflight' } = options;
  const flags = { shared, heuristic, onlyIfCached, showKey, prefixTags };
  for (const [option, value] of Object.entries(flags))
    if (typeof value !== 'boolean') throw misuse(option, 'a boolean', value);
  if (maxBodySize !== Infinity && !(Number.isSafeInteger(maxBodySize) && maxBodySize >= 0))
    throw misuse('maxBodySize', 'an integer ≥ 0 or Infinity', maxBodySize);
  if (!Array.isArray(methods) || methods.some((method) => method !== 'GET' && method !== 'HEAD'))
    throw misuse('methods', "an array of 'GET' and 'HEAD'", methods);
  if (name !== false && !(typeof name === 'string' && /^[\x20-\x7e]+$/.test(name)))
    throw misuse('name', 'printable ASCII text, or false', name);
  const { clientCacheControl = 'respect' } = options;
  if (clientCacheControl !== 'respect' && clientCacheControl !== 'ignore')
    throw misuse('clientCacheControl', "'respect' or 'ignore'", clientCacheControl);
  return { ...flags, maxBodySize, methods, name, clientCacheControl };
}

const prefixTagsOf = prefixTags;

function clockOf({ clock, cache }: HttpCacheOptions): Clock {
  if (clock !== undefined) checkClock(clock);
  const other = cache === undefined || isCache(cache) ? undefined : cache.clock;
  return clock ?? other ?? systemClock;
}

function cacheOf(
  { cache = {} }: HttpCacheOptions,
  clock: Clock,
  tagsOf: HttpSettings['tagsOf'],
): TieredCache<StoredResponse> {
  checkObject('cache', cache);
  if (isCache(cache)) return cache;
  for (const [name, instead] of Object.entries(INSTEAD)) {
    const value = (cache as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined)
      throw misuse(`cache.${name}`, `absent, since it does nothing here: use \`${instead}\``, value);
  }
  const sizeOf = (response: StoredResponse, key: string): number => sizeWithTags(response, key, tagsOf);
  const memory = lruMemory<StoredResponse>({ maxSize: DEFAULT_MEMORY, sizeOf });
  // Every response brings its own lifetime.
  return new TieredCache<StoredResponse>({ ttl: 0, name: 'http', memory, clock, ...cache });
}

/** Goes by shape: the cache may come from another copy of the package. */
function isCache(cache: NonNullable<HttpCacheOptions['cache']>): cache is TieredCache<StoredResponse> {
  return typeof (cache as Partial<TieredCache<StoredResponse>>).getOrLoad === 'function';
}

function keyFunction(key: HttpCacheOptions['key']): (ask: Ask) => string | undefined {
  if (key === undefined) return (ask) => ask.url;
  return ({ url, method, headers }) => {
    const chosen = key(new Request(url, { method, headers })) as unknown;
    if (chosen !== undefined && typeof chosen !== 'string')
      throw misuse('key', 'a function that returns a string or undefined', chosen);
    return chosen;
  };
}

function lifetimeFunction(lifetime: HttpCacheOptions['lifetime']): HttpSettings['lifetimeOf'] {
  if (lifetime === undefined) return () => undefined;
  return ({ url, method, headers }, response) => {
    const { status, headers: own } = response;
    const chosen = lifetime(new Request(url, { method, headers }), new Response(null, { status, headers: own }));
    return chosen === undefined ? undefined : parseDuration('lifetime', chosen);
  };
}

function targetedNames(targeted: boolean | readonly string[]): readonly string[] {
  if (targeted === true) return ['cdn-cache-control'];
  if (targeted === false) return [];
  if (!Array.isArray(targeted) || targeted.some((name) => !isFieldName(name)))
    throw misuse('targeted', 'a boolean or an array of field names', targeted);
  return targeted.map((name: string) => name.toLowerCase());
}
