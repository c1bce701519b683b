import type { StorageAdapter, StorageTier } from '../contracts.js';
import { Namespace } from '../marks/namespace.js';
import { defineStorage } from '../tiers/define-storage.js';

/**
 * The namespace `path` of `tier`, as a tier of its own: every key gets its name in the namespace.
 *
 * Has the optional methods of `tier`, except `clear`, which would reach beyond the namespace. `sweep` and `close` do reach
 * beyond it: an outlived entry is outlived in any namespace.
 */
export function namespaced(tier: StorageAdapter, path: readonly string[]): StorageTier {
  const namespace = new Namespace(path);
  const named = (key: string): string => namespace.keyOf(key);
  return defineStorage({
    name: tier.name,
    ...(tier.forgets !== undefined && { forgets: tier.forgets }),
    get: (key) => tier.get(named(key)),
    set: (key, entry, keepUntil) => tier.set(named(key), entry, keepUntil),
    delete: (key) => tier.delete(named(key)),
    ...(tier.getMany && { getMany: (keys) => tier.getMany!(keys.map(named)) }),
    ...(tier.setMany && {
      setMany: (writes) => tier.setMany!(writes.map((write) => ({ ...write, key: named(write.key) }))),
    }),
    ...(tier.deleteMany && { deleteMany: (keys) => tier.deleteMany!(keys.map(named)) }),
    ...(tier.setIfNewer && {
      setIfNewer: (key, entry, keepUntil) => tier.setIfNewer!(named(key), entry, keepUntil),
    }),
    ...(tier.version && { version: (key, newerThan) => tier.version!(named(key), newerThan) }),
    ...(tier.setIfVersion && {
      setIfVersion: (key, entry, keepUntil, version, change) =>
        tier.setIfVersion!(named(key), entry, keepUntil, version, change),
    }),
    ...(tier.lease && { lease: (key, ms, newerThan) => tier.lease!(named(key), ms, newerThan) }),
    ...(tier.onLeaseEnd && { onLeaseEnd: (key, wake) => tier.onLeaseEnd!(named(key), wake) }),
    ...(tier.onReady && { onReady: (ready) => tier.onReady!(ready) }),
    ...(tier.onLoss && { onLoss: (lost) => tier.onLoss!(lost) }),
    ...(tier.keys && {
      keys: async (range) => {
        const { keys, ...page } = await tier.keys!({ ...range, prefix: namespace.prefixOf(range.prefix) });
        return { ...page, keys: keys.map((key) => namespace.keyAt(key)).filter((key) => key !== undefined) };
      },
    }),
    ...(tier.sweep && { sweep: (now, limit) => tier.sweep!(now, limit) }),
    ...(tier.close && { close: () => tier.close!() }),
  });
}
