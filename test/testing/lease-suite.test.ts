import assert from 'node:assert/strict';

import { describe, expect, test } from 'vitest';

import { systemClock } from '../../src/base/clock.js';
import type { Lease, LeaseAnswer, StorageTier } from '../../src/contracts.js';
import { storageSuite } from '../../src/testing/index.js';
import { leasingStorage } from '../support/leasing-storage.ts';

const SUPPORTS = { lease: true, setMany: false, deleteMany: false, sweep: false } as const;
const OPEN = /load without an entry|said to have ended|load has ended/;

/** A tier whose leases are those of a sound one, but for `change`. */
function leasing(change: (lease: Lease, base: StorageTier) => Partial<Lease>): StorageTier {
  const base = leasingStorage(systemClock);
  const lease = async (...asked: Parameters<typeof base.lease>): Promise<LeaseAnswer> => {
    const answer = await base.lease(...asked);
    if (answer.kind !== 'lease') return answer;
    return { ...answer, lease: { ...answer.lease, ...change(answer.lease, base) } };
  };
  return { ...base, lease };
}

/** The tests about loads that end without an entry which fail for tiers given by `open`. */
async function failuresOf(open: () => StorageTier, supports: { readonly leaseOpen?: boolean } = {}): Promise<string[]> {
  const tests: (readonly [string, () => Promise<void>])[] = [];
  const runner = {
    test: (name: string, run: () => Promise<void>) => tests.push([name, run]),
    equal: assert.deepStrictEqual,
  };
  storageSuite(runner, { open, supports: { ...SUPPORTS, ...supports } });
  const failures: string[] = [];
  for (const [name, run] of tests.filter(([each]) => OPEN.test(each) && !each.startsWith('in a namespace')))
    await run().catch(() => failures.push(name));
  return failures;
}

describe('the part of the storage suite about loads that end without an entry', () => {
  const ignoring = (): StorageTier => leasing((lease) => ({ release: () => lease.release() }));

  test('passes a tier that tells of them', async () => {
    expect(await failuresOf(() => leasing(() => ({})))).toEqual([]);
  });

  test('catches a tier that tells nobody', async () => {
    expect(await failuresOf(ignoring)).toEqual([expect.stringMatching(/^all who ask just after/)]);
  });

  test('lets a tier tell nobody that says so', async () => {
    expect(await failuresOf(ignoring, { leaseOpen: false })).toEqual([]);
  });

  test('catches a tier in which a former holder can tell', async () => {
    const rude = (): StorageTier => leasing((_, base) => ({ release: async () => void (await base.delete('k')) }));

    expect(await failuresOf(rude)).toContainEqual(expect.stringMatching(/^only the holder/));
  });

  test('catches a tier that stores what was loaded under such a lease', async () => {
    const late = (): StorageTier =>
      leasing((_, base) => ({ store: async (...write) => (await base.set('k', ...write), true) }));

    expect(await failuresOf(late)).toContainEqual(expect.stringMatching(/^what was loaded under/));
  });
});
