import { checkFunction } from '../base/checks.js';
import type { TieredCache } from '../cache/tiered-cache.js';
import type { MaybePromise } from '../contracts.js';
import { readAsk } from './ask.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from './http-options.js';
import { around, through } from './passage.js';
import type { HttpSettings, Origin } from './settings.js';
import type { StoredResponse } from './stored-response.js';

/** A handler with a cache in front of it. */
export interface CachedHandler<Rest extends unknown[]> {
  (request: Request, ...rest: Rest): Promise<Response>;
  /** The cache that holds the responses. Close it when you are done. Its statistics count its reads: a request may take several. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * Puts a cache in front of a server's own handler: a reusable response is served without calling the handler, and
 * concurrent requests for the same response call it once.
 *
 * Further arguments are passed on; one with a `waitUntil`, such as a Worker's context, takes the background work. The
 * handler may get another `Request` than the server's: the cache handles conditional headers itself.
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
    const asked = readAsk(request, undefined, settings.isDeaf);
    if (asked === undefined) return handler(request, ...rest);
    // A redirect is an answer like any other here. A client that leaves must not end what others wait for.
    const ask = { ...asked, redirect: 'manual' } as const;
    const origin: Origin = async ({ headers, signal }) =>
      handler(new Request(request, { headers, ...(signal === undefined ? {} : { signal }) }), ...rest);
    const own = withWaitUntil(settings, rest);
    return (await through(own, ask, origin)) ?? around(own, ask, async () => handler(request, ...rest));
  };
  return Object.assign(handle, { cache: settings.cache });
}

/** Hands background work to the `waitUntil` of the request that started it. */
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
