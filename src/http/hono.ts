import type { TieredCache } from '../cache/tiered-cache.js';
import { readAsk } from './ask.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from './http-options.js';
import { around, through } from './passage.js';
import type { Origin } from './settings.js';
import type { StoredResponse } from './stored-response.js';

/** The part of a Hono context that is used here. */
export interface HonoContextLike {
  readonly req: { raw: Request };
  get res(): Response;
  set res(response: Response | undefined);
}

/** A middleware for Hono. */
export interface HonoCache {
  (context: HonoContextLike, next: () => Promise<void>): Promise<Response | void>;
  /** The cache that holds the responses. Close it when you are done. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * A middleware for Hono that serves the reusable responses of the routes behind it from a cache.
 *
 * A context can't run again once it has an answer. Stale responses are therefore renewed before they are served; for
 * `stale-while-revalidate`, wrap the whole app: `cachedHandler(app.fetch)`.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function honoCache(options: HttpCacheOptions = {}): HonoCache {
  const settings = { ...resolveHttpOptions(options, HTTP_OPTIONS), canRevalidate: false };
  const middleware = async (context: HonoContextLike, next: () => Promise<void>): Promise<Response | void> => {
    const { raw } = context.req;
    const asked = readAsk(raw, undefined);
    if (asked === undefined) return next();
    const ask = { ...asked, redirect: 'manual' } as const;
    let isRun = false;
    const origin: Origin = async ({ headers }) => {
      isRun = true;
      context.req.raw = new Request(raw, { headers });
      try {
        await next();
      } finally {
        context.req.raw = raw;
      }
      return context.res;
    };
    const asIs = async (): Promise<Response> => {
      isRun = true;
      await next();
      return context.res;
    };
    const response = (await through(settings, ask, origin)) ?? (await around(settings, ask, asIs));
    if (!isRun) return response;
    // Otherwise Hono would merge the headers of the replaced response into this one.
    context.res = undefined;
    context.res = response;
  };
  return Object.assign(middleware, { cache: settings.cache });
}
