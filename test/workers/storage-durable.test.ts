import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';

import { durableStorage } from '../../src/cloudflare/index.js';
import type { MaybePromise, StorageTier } from '../../src/index.js';
import { storageSuite } from '../../src/testing/index.js';
import type { BareObject } from './worker.js';

/** The object in which each open tier lives. */
const homes = new Map<StorageTier, DurableObjectStub<BareObject>>();

/** A tier in an object of its own: every call goes into that object, as it would from code that runs there. */
function open(): StorageTier {
  const stub = env.BARE.getByName(`conformance-${homes.size}`);
  const inside = <T>(use: (tier: Required<StorageTier>) => MaybePromise<T>): Promise<T> =>
    runInDurableObject(stub, async (_object, { storage }) => use(durableStorage(storage) as Required<StorageTier>));
  const tier: StorageTier = {
    name: 'durable-object',
    get: (key) => inside((tier) => tier.get(key)),
    set: (key, entry, keepUntil) => inside((tier) => tier.set(key, entry, keepUntil)),
    delete: (key) => inside((tier) => tier.delete(key)),
    getMany: (keys) => inside((tier) => tier.getMany(keys)),
    setMany: (writes) => inside((tier) => tier.setMany(writes)),
    deleteMany: (keys) => inside((tier) => tier.deleteMany(keys)),
    setIfNewer: (key, entry, keepUntil) => inside((tier) => tier.setIfNewer(key, entry, keepUntil)),
    clear: () => inside((tier) => tier.clear()),
    sweep: (now, limit) => inside((tier) => tier.sweep(now, limit)),
    close: () => inside((tier) => tier.close()),
  };
  homes.set(tier, stub);
  return tier;
}

/** The same tier after its object has lost all it had in memory. */
async function reopen(tier: StorageTier): Promise<StorageTier> {
  await evictDurableObject(homes.get(tier)!);
  return tier;
}

storageSuite(
  { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
  { open, supports: { references: false, binary: true, reopen } },
);
