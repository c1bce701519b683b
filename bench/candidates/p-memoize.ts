import { LRUCache } from 'lru-cache';
import pMemoize from 'p-memoize';

import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: '`p-memoize`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true },
  code: "export { default } from 'p-memoize'",
  setup: 'over `lru-cache` with a ttl (its default, a `Map`, never forgets)',
  open(load, { ttl, max }) {
    return { read: pMemoize(load, { cache: new LRUCache<string, Value>({ max, ttl }) }) };
  },
};
