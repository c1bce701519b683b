import { createCache } from 'async-cache-dedupe';

import type { Candidate } from '../candidate.ts';

export const candidate: Candidate = {
  name: '`async-cache-dedupe`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true },
  code: "export { createCache } from 'async-cache-dedupe'",
  setup: 'memory storage of the size asked for; knows whole seconds only, and reads its clock once a second',
  open(load, { ttl, staleWhileRevalidate, max }) {
    const cache = createCache({
      ttl: Math.ceil(ttl / 1_000),
      stale: Math.ceil(staleWhileRevalidate / 1_000),
      storage: { type: 'memory', options: { size: max } },
    }).define('read', load);
    return { read: (key) => cache.read(key) };
  },
};
