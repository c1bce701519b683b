import type { TieredCache } from '../cache/tiered-cache.js';
import { readAsk } from './ask.js';
import { Run, type HonoContextLike } from './hono-run.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from './http-options.js';
import { around, through } from './passage.js';
import type { Origin } from './settings.js';
import type { StoredResponse } from './stored-response.js';
import { withoutVisitor } from './visitor-headers.js';

/** A middleware for Hono. */
export interface HonoCache {
  (context: HonoContextLike, next: () => Promise<void>): Promise<Response | void>;
  /** The cache that holds the responses. Close it when you are done. Its statistics count its reads: a request may take several. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * A middleware for Hono that serves the reusable responses of the routes behind it from a cache.
 *
 * A context can't run again once it has an answer. Stale responses are therefore renewed before they are served; for
 * `stale-while-revalidate`, wrap the whole app: `cachedHandler(app.fetch)`. A route that throws, answers with a 5xx, or is
 * still running when a middleware outside gives up, fails for its own request alone: others run it themselves. Headers
 * that a middleware outside set before are not stored, unless they say how the response is to be read or cached.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function honoCache(options: HttpCacheOptions = {}): HonoCache {
  const settings = { ...resolveHttpOptions(options, HTTP_OPTIONS), canRevalidate: false };
  const middleware = async (context: HonoContextLike, next: () => Promise<void>): Promise<Response | void> => {
    const { raw } = context.req;
    const asked = readAsk(raw, undefined, settings.isDeaf);
    // What has an answer already does not take another one from the route.
    if (asked === undefined || context.finalized) return next();
    const ask = { ...asked, redirect: 'manual' } as const;
    const run = new Run(context, next);
    const asIs = (): Promise<Response> => run.answer(raw);
    const origin: Origin = async ({ headers, keepApart }) => {
      const response = await run.answer(new Request(raw, { headers }));
      if (response === run.failed) keepApart?.();
      return response === run.failed ? response : withoutVisitor(response, run.outside);
    };
    const response = (await through(settings, ask, origin)) ?? (await around(settings, ask, asIs));
    return run.end(response);
  };
  return Object.assign(middleware, { cache: settings.cache });
}
