import { CacheObject, durableCache, type DurableCacheOptions } from '../../src/cloudflare/index.js';

interface Env {
  readonly SLOW: DurableObjectNamespace<SlowObject>;
  readonly UPSTREAM: Fetcher;
}

/** A cache over an upstream outside of workerd, which a test holds back. */
export class SlowObject extends CacheObject<Env, string> {
  protected override configure(env: Env): DurableCacheOptions<string> {
    return {
      ttl: '1m',
      upstream: async (key, { signal }) => (await env.UPSTREAM.fetch(`http://upstream/${key}`, { signal })).text(),
    };
  }
}

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    if (search === '?stats') return Response.json(await durableCache(env.SLOW).getStats(pathname));
    const { value, status, tier, age } = await durableCache(env.SLOW).lookup(pathname);
    return search === '?story' ? Response.json({ value, status, tier, age }) : new Response(value);
  },
} satisfies ExportedHandler<Env>;
