import type { Candidate } from './candidate.ts';

type Lazily = () => Promise<{ readonly candidate: Candidate }>;

/**
 * All candidates, ours first, then the floors, then the peers.
 *
 * A measuring process loads its own candidate and no other, so that none runs on code that V8 has shaped for another.
 */
export const candidates: Readonly<Record<string, Lazily>> = {
  soloflight: () => import('./candidates/soloflight.ts'),
  'soloflight-singleflight': () => import('./candidates/soloflight-singleflight.ts'),
  'map-of-values': () => import('./candidates/map-of-values.ts'),
  'map-of-promises': () => import('./candidates/map-of-promises.ts'),
  'lru-cache': () => import('./candidates/lru-cache.ts'),
  coalescer: () => import('./candidates/coalescer.ts'),
  'coalescer-lru-cache': () => import('./candidates/coalescer-lru-cache.ts'),
  'lru-cache-fetch': () => import('./candidates/lru-cache-fetch.ts'),
  'layered-loader': () => import('./candidates/layered-loader.ts'),
  'async-cache-dedupe': () => import('./candidates/async-cache-dedupe.ts'),
  bentocache: () => import('./candidates/bentocache.ts'),
  cacheable: () => import('./candidates/cacheable.ts'),
  'cache-manager': () => import('./candidates/cache-manager.ts'),
  cachified: () => import('./candidates/cachified.ts'),
  'p-memoize': () => import('./candidates/p-memoize.ts'),
  'tanstack-query': () => import('./candidates/tanstack-query.ts'),
};
