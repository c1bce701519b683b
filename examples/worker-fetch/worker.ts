import { lruMemory } from 'soloflight';
import { cacheApiStorage, workerCache, type CacheLike } from 'soloflight/cloudflare';
import { structuredCloneCodec } from 'soloflight/codecs';
import { cachedFetch, sizeOfResponse, type StoredResponse } from 'soloflight/http';

/* A Worker in front of an API: what the API allows to be reused is answered from this isolate's memory, or from the cache of its data centre. */

declare const caches: { readonly default: CacheLike };

const fetch = cachedFetch({
  name: 'worker-fetch',
  cache: workerCache<StoredResponse>({
    ttl: 0, // each response brings its own lifetime
    memory: lruMemory({ maxSize: 32_000_000, sizeOf: sizeOfResponse }),
    storage: cacheApiStorage(caches.default, { codec: structuredCloneCodec }),
  }),
});

interface Env {
  /** Where the API is: scheme and host. */
  readonly API: string;
}

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  async fetch(request: Request, { API }: Env): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    try {
      return await fetch(new Request(`${API}${pathname}${search}`, request), { redirect: 'manual' });
    } catch (error) {
      console.error(`No answer for ${pathname}:`, error);
      return new Response('Bad gateway\n', { status: 502 });
    }
  },
};
