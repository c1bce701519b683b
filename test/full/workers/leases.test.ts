import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { durableStorage } from '../../../src/cloudflare/index.js';
import { jsonCodec, type Entry, type Lease, type StorageTier } from '../../../src/index.js';
import { waitPatiently } from '../../support/patience.js';

waitPatiently();

const HOUR = 3_600_000;
const LATER_VERSION = 'written by a later version';
let objects = 0;

function decode(payload: string | Uint8Array): unknown {
  const value = jsonCodec.decode(payload);
  if (value === LATER_VERSION) throw new Error(LATER_VERSION);
  return value;
}

function entryOf(value: unknown, startedAt = 1_000): Entry {
  const times = { startedAt, createdAt: startedAt, freshUntil: 2e12, staleUntil: 2e12, errorUntil: 2e12 };
  return { value, ...times, loadMs: 0, tags: [], meta: undefined };
}

/** Runs `run` with two tiers over the storage of one object: one for the loader, one for whoever else there is. */
async function inObject(
  run: (own: StorageTier, other: StorageTier, storage: DurableObjectStorage) => Promise<void>,
): Promise<void> {
  await runInDurableObject(env.BARE.getByName(`leases-${(objects += 1)}`), async (_object, { storage }) => {
    await run(durableStorage(storage, { lease: true }), durableStorage(storage, { lease: true }), storage);
  });
}

async function take(tier: StorageTier, key = 'k', ms = HOUR): Promise<Lease> {
  const answer = await tier.lease!(key, ms, -Infinity);
  if (answer.kind !== 'lease') throw new Error(`There is no lease on ${key}: ${answer.kind}`);
  return answer.lease;
}

async function kindOf(tier: StorageTier, newerThan = -Infinity): Promise<string> {
  return (await tier.lease!('k', HOUR, newerThan)).kind;
}

describe('a lease of an object', () => {
  test('is had by one at a time, for each key', () =>
    inObject(async (own, other) => {
      const lease = await take(own);

      expect(await kindOf(other)).toBe('held');
      expect((await take(other, 'another')).token).not.toBe(lease.token);
      await lease.release();
      expect(await kindOf(other)).toBe('lease');
    }));

  test('ends when its time is over: its late result is refused', () =>
    inObject(async (own, other) => {
      const late = await take(own, 'k', 0);
      const next = await take(other);

      expect(await late.renew(HOUR)).toBe(false);
      expect(await late.store(entryOf('late'), Infinity)).toBe(false);
      expect(await own.get('k')).toBeUndefined();
      expect(await next.store(entryOf('in time'), Infinity)).toBe(true);
      expect((await own.get('k'))?.value).toBe('in time');
    }));

  test('is not for somebody who has not seen the entry that is there', () =>
    inObject(async (own, other) => {
      await (await take(own)).store(entryOf('loaded', 5_000), Infinity);

      expect(await other.lease!('k', HOUR, 4_999)).toMatchObject({ kind: 'entry', entry: { value: 'loaded' } });
      expect(await kindOf(other, 5_000)).toBe('lease');
    }));

  test.each([
    ['at once', { ...jsonCodec, decode }],
    ['later', { ...jsonCodec, decode: async (payload: string | Uint8Array) => decode(payload) }],
  ])('is for somebody to whom the entry that is there is undecodable, told %s', (_when, codec) =>
    inObject(async (_own, _other, storage) => {
      const tier = durableStorage(storage, { lease: true, codec });
      await tier.set('k', entryOf(LATER_VERSION, 5_000), Infinity);

      const lease = await take(tier);
      expect(await kindOf(tier)).toBe('held');
      expect(await lease.store(entryOf('loaded', 6_000), Infinity)).toBe(true);
      expect((await tier.get('k'))?.value).toBe('loaded');
    }),
  );

  test.each([
    ['delete', (tier: StorageTier) => tier.delete('k')],
    ['set', (tier: StorageTier) => tier.set('k', entryOf('set'), Infinity)],
    ['setMany', (tier: StorageTier) => tier.setMany!([{ key: 'k', entry: entryOf('set'), keepUntil: Infinity }])],
    ['deleteMany', (tier: StorageTier) => tier.deleteMany!(['k'])],
    ['clear', (tier: StorageTier) => tier.clear!()],
  ])('is void after %s: what was loaded before must not come after', (what, change) =>
    inObject(async (own, other) => {
      const lease = await take(own);

      await change(other);

      expect(await lease.store(entryOf('old', 9_000), Infinity)).toBe(false);
      expect((await own.get('k'))?.value).toBe(what.startsWith('set') ? 'set' : undefined);
    }),
  );

  test('does not let an older load replace a newer entry', () =>
    inObject(async (own, other) => {
      const lease = await take(own);
      await other.setIfNewer!('k', entryOf('newer', 2_000), Infinity);

      expect(await lease.store(entryOf('older', 1_000), Infinity)).toBe(false);
      expect((await own.get('k'))?.value).toBe('newer');
    }));

  test('is not issued unless asked for', () =>
    runInDurableObject(env.BARE.getByName('no-leases'), (_object, { storage }) => {
      expect('lease' in durableStorage(storage)).toBe(false);
      expect(() => durableStorage(storage, { lease: 1 as never })).toThrow(/`lease` to be a boolean/);
    }));
});
