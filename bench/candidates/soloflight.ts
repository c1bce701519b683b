import { defineStorage, keyOf, loaded, lruMemory, TieredCache, type Entry, type StorageTier } from 'soloflight';
import { sqliteQueue } from 'soloflight/sqlite';
import { WriteBehind } from 'soloflight/writes';

import type { Candidate, Value } from '../candidate.ts';
import type { RemoteStore } from '../remote-store.ts';

export const candidate: Candidate = {
  name: 'soloflight',
  kind: 'ours',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true, peeks: true, readsMany: true },
  code: "export * from 'soloflight'",
  open(load, { ttl, staleWhileRevalidate, max }) {
    const cache = new TieredCache<Value>({ ttl, staleWhileRevalidate, memory: lruMemory({ max }), upstream: load });
    return {
      read: (key) => cache.get(key),
      peek: (key) => cache.peek(key),
      readMany: (keys) => cache.getMany(keys),
      close: () => cache.close(),
    };
  },
  openTagged(load, { ttl, staleWhileRevalidate, max }, tags) {
    const upstream = async (key: string) => loaded(await load(key), { tags });
    const cache = new TieredCache<Value>({ ttl, staleWhileRevalidate, memory: lruMemory({ max }), upstream });
    return { read: (key) => cache.get(key), close: () => cache.close() };
  },
  keyOf,
  openStored(load, { ttl, staleWhileRevalidate, max }, store) {
    const cache = new TieredCache<Value>({
      ttl,
      staleWhileRevalidate,
      memory: lruMemory({ max }),
      storage: remoteTier(store),
      upstream: load,
    });
    return { read: (key) => cache.get(key), close: () => cache.close() };
  },
  openWrites(sink, { maxBatch, file }) {
    return new WriteBehind<Value>({
      maxBatch,
      flushEvery: Infinity,
      sink: (writes) => sink(writes.map(({ key }) => key)),
      ...(file === undefined ? {} : { queue: sqliteQueue({ database: file }) }),
    });
  },
};

function remoteTier(store: RemoteStore): StorageTier {
  return defineStorage({
    name: 'remote',
    async get(key) {
      const payload = await store.get(key);
      return payload === undefined ? undefined : (JSON.parse(payload) as Entry);
    },
    set: (key, entry) => store.set(key, JSON.stringify(entry)),
    delete: (key) => store.delete(key),
  });
}
