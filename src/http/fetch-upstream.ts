import { checkClock, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import type { Clock, LoadContext, LoadControl, MaybePromise, Upstream } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { loaded, notModified } from '../read/loaded.js';
import type { Fetch, FetchInit } from './ask.js';
import { Directives } from './cache-control.js';
import { initialAge, rulesOf, type Arrival } from './rules.js';
import { sender } from './sender.js';

/** Options of {@link fetchUpstream}. */
export interface FetchUpstreamOptions<V> {
  /** The URL of a key. @default the key itself */
  readonly url?: (key: string) => string | URL;
  /** Further options for `fetch`. */
  readonly init?: FetchInit | ((key: string) => FetchInit);
  /** Makes the value from a successful response. @default its JSON */
  readonly parse?: (response: Response, key: string) => MaybePromise<V>;
  /** Sends requests to the source. @default the global `fetch`, as it is at each request */
  readonly fetch?: Fetch;
  /** Whether `s-maxage` and `proxy-revalidate` count. @default false */
  readonly shared?: boolean;
  /** What `404` and `410` mean: that there is nothing (`undefined`), or a failure like any other status. @default 'absent' */
  readonly notFound?: 'absent' | 'error';
  /** The wall clock for ages. @default systemClock */
  readonly clock?: Clock;
}

/** The source answered with a status that is neither a value nor "not there". */
export class HttpStatusError extends SoloflightError {
  readonly status: number;

  constructor(key: string, status: number) {
    super('SOLOFLIGHT_HTTP_STATUS', `The source of '${key}' answered with status ${status}`, { key });
    this.status = status;
  }
}

/** Where a response states nothing, the cache's own windows count. */
const NO_DEFAULTS = { defaultTtl: 0, heuristic: false, staleWhileRevalidate: 0, staleIfError: 0 };

const OPTIONS = ['url', 'init', 'parse', 'fetch', 'shared', 'notFound', 'clock'] as const;

/** The validators of a value, kept beside it for conditional requests. */
interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

/**
 * An upstream for a `TieredCache` whose values come from HTTP.
 *
 * A lifetime stated by the response wins over the cache's options; where it states none, those count. Validators travel
 * in the entry's `meta`, so that an unchanged value costs a `304`. `404` and `410` mean that there is nothing, unless
 * `notFound: 'error'`; other failures reject with {@link HttpStatusError} and may be covered by `staleIfError`.
 *
 * @throws TypeError for an option that makes no sense.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { fetchUpstream } from 'soloflight/http';
 *
 * const posts = new TieredCache<{ title: string } | undefined>({
 *   ttl: '10s',
 *   upstream: fetchUpstream({
 *     url: (key) => `https://api.example/${key}`,
 *     fetch: async () => Response.json({ title: 'Hello' }, { headers: { etag: '"1"' } }),
 *   }),
 * });
 * console.log((await posts.get('post/1'))?.title); // Hello
 * ```
 */
export function fetchUpstream<V>(options: FetchUpstreamOptions<V> & { readonly notFound: 'error' }): Upstream<V>;
export function fetchUpstream<V>(options?: FetchUpstreamOptions<NoInfer<V>>): Upstream<V | undefined>;
export function fetchUpstream<V>(options: FetchUpstreamOptions<V> = {}): Upstream<V | undefined> {
  checkObject('options', options);
  checkNames(options, OPTIONS);
  for (const name of ['url', 'parse', 'fetch'] as const) checkFunction(name, options[name]);
  const { shared = false, notFound = 'absent', url = (key: string) => key, init = {}, clock = systemClock } = options;
  checkClock(clock);
  if (typeof shared !== 'boolean') throw misuse('shared', 'a boolean', shared);
  if (notFound !== 'absent' && notFound !== 'error') throw misuse('notFound', "'absent' or 'error'", notFound);
  const parse = options.parse ?? ((response: Response) => response.json() as Promise<V>);
  const fetch = sender(options.fetch);

  return async (key, load) => {
    const own = typeof init === 'function' ? init(key) : init;
    const requestedAt = clock.now();
    const response = await fetch(url(key), { ...own, headers: conditional(own, load), signal: load.signal });
    const { status, headers } = response;
    const control = controlOf({ status, headers, requestedAt, receivedAt: clock.now() }, shared);
    if (status === 304) return notModified(control);
    if (notFound === 'absent' && (status === 404 || status === 410)) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new HttpStatusError(key, status);
    }
    return loaded(await parse(response, key), control);
  };
}

function conditional<V>({ headers }: FetchInit, { stale }: LoadContext<V>): Headers {
  const own = new Headers(headers);
  const { etag, lastModified } = (stale?.meta ?? {}) as Validators;
  if (etag !== undefined) own.set('if-none-match', etag);
  if (lastModified !== undefined) own.set('if-modified-since', lastModified);
  return own;
}

/** The windows and validators that the response states. The rest is left to the cache. */
function controlOf(response: Omit<Arrival, 'directives' | 'expires'>, shared: boolean): LoadControl {
  const { headers } = response;
  const directives = new Directives(headers.get('cache-control'));
  const arrival = { ...response, directives, expires: true };
  const rules = rulesOf(arrival, { ...NO_DEFAULTS, shared });
  const isTimed = directives.has('max-age') || headers.has('expires') || (shared && directives.has('s-maxage'));
  const etag = headers.get('etag');
  const lastModified = headers.get('last-modified');
  const meta: Validators = {
    ...(etag === null ? {} : { etag }),
    ...(lastModified === null ? {} : { lastModified }),
  };
  const mustAsk = rules.stale === 'never';
  return {
    ...(rules.validate ? { ttl: 0 } : isTimed ? { ttl: Math.max(0, rules.lifetime - initialAge(arrival)) } : {}),
    ...(mustAsk || directives.has('stale-while-revalidate')
      ? { staleWhileRevalidate: rules.staleWhileRevalidate }
      : {}),
    ...(mustAsk || directives.has('stale-if-error') ? { staleIfError: rules.staleIfError } : {}),
    ...(Object.keys(meta).length > 0 ? { meta } : {}),
    ...(directives.has('no-store') ? { store: false as const } : {}),
  };
}
