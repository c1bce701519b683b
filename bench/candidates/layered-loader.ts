import { Loader, type Cache } from 'layered-loader/core';

import type { Candidate, Value } from '../candidate.ts';
import type { RemoteStore } from '../remote-store.ts';

export const candidate: Candidate = {
  name: '`layered-loader`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true, peeks: true },
  code: "export { Loader } from 'layered-loader/core'",
  setup:
    '`lru-map`, its default; stale-while-revalidate as `ttlInMsecs` = both windows and `ttlLeftBeforeRefreshInMsecs` = the second',
  open(load, { ttl, staleWhileRevalidate, max }) {
    const loader = new Loader<Value>({
      inMemoryCache: {
        cacheType: 'lru-map',
        maxItems: max,
        ttlInMsecs: ttl + staleWhileRevalidate,
        ...(staleWhileRevalidate > 0 && { ttlLeftBeforeRefreshInMsecs: staleWhileRevalidate }),
      },
      dataSourceGetOneFn: load,
    });
    return {
      read: (key) => loader.get(key) as Promise<Value>,
      peek: (key) => loader.getInMemoryOnly(key) ?? undefined,
    };
  },
  openStored(load, { ttl, max }, store) {
    const loader = new Loader<Value>({
      inMemoryCache: { cacheType: 'lru-map', maxItems: max, ttlInMsecs: ttl },
      asyncCache: remoteCache(store),
      dataSourceGetOneFn: load,
    });
    return { read: (key) => loader.get(key) as Promise<Value> };
  },
};

function remoteCache(store: RemoteStore): Cache<Value> {
  const unused = (): never => {
    throw new Error('The bench does not use this part of the storage');
  };
  return {
    // Read only with `ttlLeftBeforeRefreshInMsecs`, which is not set.
    expirationTimeLoadingOperation: new Loader<number>({}),
    async get(key) {
      const payload = await store.get(key);
      return payload === undefined ? undefined : (JSON.parse(payload) as Value);
    },
    set: (key, value) => store.set(key, JSON.stringify(value)),
    delete: (key) => store.delete(key),
    getMany: unused,
    setMany: unused,
    deleteMany: unused,
    getExpirationTime: unused,
    clear: unused,
    close: unused,
  };
}
