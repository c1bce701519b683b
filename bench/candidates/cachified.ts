import { cachified, totalTtl, type Cache, type CacheEntry } from '@epic-web/cachified';
import { LRUCache } from 'lru-cache';

import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: '`@epic-web/cachified`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true },
  code: "export { cachified, totalTtl } from '@epic-web/cachified'",
  setup: 'over `lru-cache`, with the adapter from its documentation',
  open(load, { ttl, staleWhileRevalidate, max }) {
    const entries = new LRUCache<string, CacheEntry>({ max });
    const cache: Cache = {
      set(key, value) {
        const total = totalTtl(value.metadata);
        return entries.set(key, value, {
          ...(total !== Infinity && { ttl: total }),
          ...(value.metadata && { start: value.metadata.createdTime }),
        });
      },
      get: (key) => entries.get(key),
      delete: (key) => entries.delete(key),
    };
    return {
      read: (key) => cachified<Value>({ key, cache, ttl, staleWhileRevalidate, getFreshValue: () => load(key) }),
    };
  },
};
