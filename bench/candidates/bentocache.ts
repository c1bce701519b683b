import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import type { CreateDriverResult, L2CacheDriver } from 'bentocache/types';

import type { Candidate, Opened, Settings, Load } from '../candidate.ts';
import type { RemoteStore } from '../remote-store.ts';

export const candidate: Candidate = {
  name: '`bentocache`',
  kind: 'peer',
  can: { keeps: true, coalesces: true, expires: true, revalidates: true },
  code: "export { BentoCache, bentostore } from 'bentocache'; export { memoryDriver } from 'bentocache/drivers/memory'",
  setup:
    'memory layer with `serialize: false` (its default turns each value into JSON); stale-while-revalidate as `grace` = both windows with `timeout: 0`; `graceBackoff: "1s"`',
  open: (load, settings) => {
    const memory = bentostore().useL1Layer(memoryDriver({ maxItems: settings.max, serialize: false }));
    return opened(memory, load, settings);
  },
  openStored: (load, settings, store) => {
    const memory = memoryDriver({ maxItems: settings.max, serialize: false });
    return opened(bentostore().useL1Layer(memory).useL2Layer(remoteDriver(store)), load, settings);
  },
};

function opened(store: ReturnType<typeof bentostore>, load: Load, { ttl, staleWhileRevalidate }: Settings): Opened {
  const bento = new BentoCache({
    default: 'store',
    stores: { store },
    ttl,
    grace: staleWhileRevalidate > 0 ? ttl + staleWhileRevalidate : false,
    graceBackoff: '1s',
    timeout: 0,
  });
  const cache = bento.use('store');
  return { read: (key) => cache.getOrSet({ key, factory: () => load(key) }), close: () => bento.disconnectAll() };
}

function remoteDriver(store: RemoteStore): CreateDriverResult<L2CacheDriver> {
  const unused = (): never => {
    throw new Error('The bench does not use this part of the storage');
  };
  const driver: L2CacheDriver = {
    type: 'l2',
    get: (key) => store.get(key),
    set: async (key, payload) => {
      await store.set(key, payload);
      return true;
    },
    delete: (key) => store.delete(key),
    disconnect: async () => {},
    pull: unused,
    clear: unused,
    deleteMany: unused,
    namespace: unused,
    prune: unused,
  };
  return { options: {}, factory: () => driver };
}
