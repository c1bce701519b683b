import { LRUCache } from 'lru-cache';

import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: '`lru-cache` `fetch`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true, peeks: true },
  code: "export { LRUCache } from 'lru-cache'",
  setup:
    '`fetchMethod`; `allowStale`, `noDeleteOnFetchRejection` and `allowStaleOnFetchRejection` where stale values are asked for (its stale window has no end)',
  open(load, { ttl, staleWhileRevalidate, max }) {
    const allowStale = staleWhileRevalidate > 0;
    const cache = new LRUCache<string, Value>({
      max,
      ttl,
      allowStale,
      noDeleteOnFetchRejection: allowStale,
      allowStaleOnFetchRejection: allowStale,
      fetchMethod: (key) => load(key),
    });
    return { read: (key) => cache.fetch(key), peek: (key) => cache.get(key) };
  },
};
