import { checkFunction } from '../base/checks.js';
import type { TieredCache } from '../cache/tiered-cache.js';
import { misuse } from '../errors.js';
import { readAsk, type Ask, type Fetch, type FetchInit, type FetchInput, type Redirect } from './ask.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from './http-options.js';
import { around, invalidateUrl, through } from './passage.js';
import { followed } from './redirect.js';
import { dressed } from './respond.js';
import { prefixTag } from './response-tags.js';
import { sender } from './sender.js';
import type { Origin } from './settings.js';
import type { StoredResponse } from './stored-response.js';

/** Options of {@link cachedFetch}. */
export interface CachedFetchOptions extends HttpCacheOptions {
  /** Sends requests to the origin. @default the global `fetch`, as it is at each request */
  readonly fetch?: Fetch;
}

/** A `fetch` with a cache behind it. */
export interface CachedFetch extends Fetch {
  /** The cache that holds the responses. Close it when you are done. Its statistics count its reads: a request may take several. */
  readonly cache: TieredCache<StoredResponse>;
  /** Makes the responses stored for a URL unusable from this call on, all variants included. With a `key` function, pass the request. */
  invalidate(request: FetchInput): Promise<void>;
  /** Makes all responses with one of these tags unusable. Tags come from `Cache-Tag` or `Surrogate-Key`. */
  invalidateTags(tags: string | readonly string[]): Promise<void>;
  /** Makes all responses unusable whose URL begins with `prefix` up to its last slash. Needs the option `prefixTags`. */
  invalidatePrefix(prefix: string | URL): Promise<void>;
}

/**
 * A `fetch` that asks the origin once, and keeps what the origin lets it keep.
 *
 * Concurrent callers share one request where HTTP allows them to share its answer; each gets a `Response` of its own.
 * Whatever is not cacheable is fetched as if this were the plain `fetch`.
 *
 * @throws TypeError for an option that makes no sense.
 * @see RFC 9111, RFC 5861, RFC 9211
 *
 * @example
 * ```ts
 * import { cachedFetch } from 'soloflight/http';
 *
 * let asked = 0;
 * const fetch = cachedFetch({
 *   fetch: async () => new Response(`answer ${++asked}`, { headers: { 'cache-control': 'max-age=60' } }),
 * });
 * const responses = await Promise.all([fetch('https://api.example/post/1'), fetch('https://api.example/post/1')]);
 * console.log(await Promise.all(responses.map((response) => response.text()))); // [ 'answer 1', 'answer 1' ]
 * ```
 */
export function cachedFetch(options: CachedFetchOptions = {}): CachedFetch {
  const settings = resolveHttpOptions(options, [...HTTP_OPTIONS, 'fetch']);
  checkFunction('fetch', options.fetch);
  const fetch = sender(options.fetch);

  const cached = async (input: FetchInput, init?: FetchInit): Promise<Response> => {
    const ask = readAsk(input, init, settings.isDeaf);
    if (ask === undefined) return fetch(input, init);
    if (ask.signal?.aborted === true) throw ask.signal.reason;
    const asIs = (): Promise<Response> => fetch(input, init);
    const { response, url, redirected } = await followed(ask, async (hop, isFirst) => {
      const origin = originOf(fetch, hop, isFirst ? input : elsewhere(hop, input), init);
      return (await through(settings, hop, origin)) ?? around(settings, hop, isFirst ? asIs : () => origin(hop));
    });
    if (response.type === 'opaqueredirect' && ask.redirect === 'follow') return asIs();
    return redirected ? dressed(response, { url, redirected }) : response;
  };
  return Object.assign(cached, {
    cache: settings.cache,
    invalidate: async (request: FetchInput) => {
      const ask = readAsk(request, undefined);
      if (ask === undefined) throw misuse('request', 'an http(s) URL, or a request of one', request);
      await invalidateUrl(settings, ask, ask.url);
    },
    invalidateTags: (tags: string | readonly string[]) => settings.cache.invalidateTags(tags),
    invalidatePrefix: async (prefix: string | URL) => {
      if (options.prefixTags !== true) throw misuse('prefixTags', 'true for `invalidatePrefix`', options.prefixTags);
      await settings.cache.invalidateTags(prefixTag(String(prefix)));
    },
  });
}

/** The caller's request as the cache sends it on. */
function originOf(fetch: Fetch, { method, redirect }: Ask, input: FetchInput, init: FetchInit | undefined): Origin {
  const mode: Redirect = redirect === 'follow' ? 'manual' : redirect;
  return ({ headers, signal }) => fetch(input, { ...init, method, headers, signal: signal ?? null, redirect: mode });
}

/** The request that a redirect leads to, with all other options of the caller's request. */
function elsewhere({ url }: Ask, input: FetchInput): FetchInput {
  return typeof input === 'object' && !(input instanceof URL) ? new Request(url, input) : url;
}
