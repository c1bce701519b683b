import { checkFunction } from '../base/checks.js';
import type { TieredCache } from '../cache/tiered-cache.js';
import type { MaybePromise } from '../contracts.js';
import { readAsk } from './ask.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from './http-options.js';
import { around, through } from './passage.js';
import type { HttpSettings, Origin } from './settings.js';
import type { StoredResponse } from './stored-response.js';

/** A handler with a cache before it. */
export interface CachedHandler<Rest extends unknown[]> {
  (request: Request, ...rest: Rest): Promise<Response>;
  /** The cache that holds the responses. Close it when you are done. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * Puts a cache before a server's own handler: what its responses allow to be reused is answered without calling it,
 * and concurrent requests for the same call it once.
 *
 * Further arguments are handed on; one with a `waitUntil`, as a Worker gets it, takes the background work. The handler
 * may be called with another `Request` than the server's: conditions are the cache's business.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function cachedHandler<Rest extends unknown[]>(
  handler: (request: Request, ...rest: Rest) => MaybePromise<Response>,
  options: HttpCacheOptions = {},
): CachedHandler<Rest> {
  checkFunction('handler', handler ?? null);
  const settings = resolveHttpOptions(options, HTTP_OPTIONS);
  const handle = async (request: Request, ...rest: Rest): Promise<Response> => {
    const asked = readAsk(request, undefined);
    if (asked === undefined) return handler(request, ...rest);
    // A redirect is an answer like any other here, and a client that leaves must not end what others wait for.
    const ask = { ...asked, redirect: 'manual' } as const;
    const origin: Origin = async ({ headers, signal }) =>
      handler(new Request(request, { headers, ...(signal === undefined ? {} : { signal }) }), ...rest);
    const own = withWaitUntil(settings, rest);
    return (await through(own, ask, origin)) ?? around(own, ask, async () => handler(request, ...rest));
  };
  return Object.assign(handle, { cache: settings.cache });
}

/** What outlives the response belongs to the request that started it. */
function withWaitUntil(settings: HttpSettings, rest: readonly unknown[]): HttpSettings {
  const context = rest.find((argument): argument is WaitsUntil => isWaiting(argument));
  return context === undefined ? settings : { ...settings, waitUntil: (work) => context.waitUntil(work) };
}

interface WaitsUntil {
  waitUntil(work: Promise<unknown>): void;
}

function isWaiting(argument: unknown): argument is WaitsUntil {
  return typeof (argument as Partial<WaitsUntil> | null | undefined)?.waitUntil === 'function';
}
