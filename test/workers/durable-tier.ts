import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

import { durableStorage } from '../../src/cloudflare/index.js';
import { defineStorage } from '../../src/index.js';
import type { LeaseAnswer, MaybePromise, StorageTier } from '../../src/index.js';
import type { BareObject } from './worker.js';

/** Runs `use` in the object where the tier lives. */
type Inside = <T>(use: (tier: Required<StorageTier>) => MaybePromise<T>) => Promise<T>;

let opened = 0;

/** The object in which each open tier lives. */
const homes = new Map<StorageTier, DurableObjectStub<BareObject>>();

/** A tier in an object of its own: every call goes into that object, as it would from code that runs there. */
export function openDurableTier(lease: boolean): StorageTier {
  const stub = env.BARE.getByName(`conformance-${(opened += 1)}`);
  const inside: Inside = (use) =>
    runInDurableObject(stub, async (_object, { storage }) =>
      use(durableStorage(storage, { lease }) as Required<StorageTier>),
    );
  const tier: StorageTier = defineStorage({
    name: 'durable-object',
    get: (key) => inside((tier) => tier.get(key)),
    set: (key, entry, keepUntil) => inside((tier) => tier.set(key, entry, keepUntil)),
    delete: (key) => inside((tier) => tier.delete(key)),
    getMany: (keys) => inside((tier) => tier.getMany(keys)),
    setMany: (writes) => inside((tier) => tier.setMany(writes)),
    deleteMany: (keys) => inside((tier) => tier.deleteMany(keys)),
    setIfNewer: (key, entry, keepUntil) => inside((tier) => tier.setIfNewer(key, entry, keepUntil)),
    version: (key, newerThan) => inside((tier) => tier.version(key, newerThan)),
    setIfVersion: (key, entry, keepUntil, version, change) =>
      inside((tier) => tier.setIfVersion(key, entry, keepUntil, version, change)),
    ...(lease && {
      lease: async (key, ms, newerThan) => outside(inside, await inside((tier) => tier.lease(key, ms, newerThan))),
    }),
    keys: (range) => inside((tier) => tier.keys(range)),
    clear: () => inside((tier) => tier.clear()),
    sweep: (now, limit) => inside((tier) => tier.sweep(now, limit)),
    close: () => inside((tier) => tier.close()),
  });
  homes.set(tier, stub);
  return tier;
}

/** `answer` with a lease whose calls go into the object. */
function outside(inside: Inside, answer: LeaseAnswer): LeaseAnswer {
  if (answer.kind !== 'lease') return answer;
  const { lease } = answer;
  return {
    kind: 'lease',
    lease: {
      token: lease.token,
      renew: (ms) => inside(() => lease.renew(ms)),
      store: (entry, keepUntil) => inside(() => lease.store(entry, keepUntil)),
      release: (open) => inside(() => lease.release(open)),
    },
  };
}

/** The same tier after its object has lost all it had in memory. */
export async function reopenDurableTier(tier: StorageTier): Promise<StorageTier> {
  await evictDurableObject(homes.get(tier)!);
  return tier;
}
