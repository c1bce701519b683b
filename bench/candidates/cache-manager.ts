import { createCache } from 'cache-manager';
import { createKeyv, Keyv } from 'cacheable';

import type { Candidate, Load, Opened, Settings } from '../candidate.ts';
import type { RemoteStore } from '../remote-store.ts';

export const candidate: Candidate = {
  name: '`cache-manager`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true, readsMany: true },
  code: "export { createCache } from 'cache-manager'",
  setup:
    '`wrap` over the LRU store of `cacheable`, `useClone: false`; stale-while-revalidate as `ttl` = both windows and `refreshThreshold` = the second',
  open: (load, settings) => opened([memory(settings)], load, settings),
  openStored: (load, settings, store) => opened([memory(settings), new Keyv({ store: remote(store) })], load, settings),
};

function memory({ ttl, staleWhileRevalidate, max }: Settings): Keyv {
  return createKeyv({ ttl: ttl + staleWhileRevalidate, lruSize: max, useClone: false });
}

function opened(stores: Keyv[], load: Load, { ttl, staleWhileRevalidate }: Settings): Opened {
  const cache = createCache({
    stores,
    ttl: ttl + staleWhileRevalidate,
    ...(staleWhileRevalidate > 0 && { refreshThreshold: staleWhileRevalidate }),
  });
  return {
    read: (key) => cache.wrap(key, () => load(key)),
    readMany: (keys) => cache.mget([...keys]),
    close: () => cache.disconnect(),
  };
}

function remote(store: RemoteStore): {
  get(key: string): unknown;
  set(key: string, value: string): unknown;
  delete(key: string): unknown;
  clear(): Promise<void>;
} {
  return {
    get: (key) => store.get(key),
    set: (key, value) => store.set(key, value),
    delete: (key) => store.delete(key),
    clear: async () => {},
  };
}
