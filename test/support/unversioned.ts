import { defineStorage, mapStorage, type StorageAdapter, type StorageTier } from '../../src/index.js';

/** `tier` as an adapter that can't compare versions, such as one of 0.1.0. */
export function unversioned(tier: StorageAdapter = mapStorage()): StorageTier {
  const rest: Partial<Record<keyof StorageAdapter, unknown>> = { ...tier };
  delete rest.version;
  delete rest.setIfVersion;
  return defineStorage(rest as StorageAdapter);
}
