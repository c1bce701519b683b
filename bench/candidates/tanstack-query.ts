import { QueryClient } from '@tanstack/query-core';

import type { Candidate } from '../candidate.ts';

export const candidate: Candidate = {
  name: '`@tanstack/query-core`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true },
  code: "export { QueryClient } from '@tanstack/query-core'",
  setup:
    '`query` with `retry: false`, `networkMode: "always"`, `structuralSharing: false` and a `queryKeyHashFn` that takes the key as it is (the default is `JSON.stringify`); `ensureQueryData` with `revalidateIfStale` where stale values are asked for; has no bound on entries',
  open(load, { ttl, staleWhileRevalidate }) {
    const client = new QueryClient({
      defaultOptions: {
        queries: {
          staleTime: ttl,
          gcTime: Infinity,
          retry: false,
          networkMode: 'always',
          structuralSharing: false,
          queryKeyHashFn: ([key]) => key as string,
        },
      },
    });
    const read =
      staleWhileRevalidate > 0
        ? (key: string) =>
            client.ensureQueryData({ queryKey: [key], queryFn: () => load(key), revalidateIfStale: true })
        : (key: string) => client.query({ queryKey: [key], queryFn: () => load(key) });
    return { read, close: () => client.clear() };
  },
};
