import { Cacheable, Keyv, KeyvCacheableMemory, type CacheableOptions } from 'cacheable';

import type { Candidate, Load, Opened, Settings, Value } from '../candidate.ts';
import type { RemoteStore } from '../remote-store.ts';

export const candidate: Candidate = {
  name: '`cacheable`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, readsMany: true },
  code: "export { Cacheable, createKeyv } from 'cacheable'",
  setup:
    '`getOrSet` with `throwErrors: "function"` (its default answers `undefined` for a failure), `useClone: false`, no serialisation',
  open: (load, settings) => opened(load, settings),
  openStored: (load, settings, store) => opened(load, settings, { secondary: new Keyv({ store: remote(store) }) }),
};

function opened(load: Load, { ttl, max }: Settings, options: CacheableOptions = {}): Opened {
  const primary = new KeyvCacheableMemory({ ttl, lruSize: max, useClone: false });
  const cache = new Cacheable({ ...options, primary, ttl });
  // As in its own default store: what stays in memory need not become JSON.
  cache.primary.serialize = undefined;
  cache.primary.deserialize = undefined;
  return {
    read: (key) => cache.getOrSet<Value>(key, () => load(key), { ttl, throwErrors: 'function' }),
    readMany: (keys) => cache.getMany<Value>([...keys]),
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
