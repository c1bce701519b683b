import type { StorageTier } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { sampleEntry } from './samples.js';

const MOST_SWEEPS = 1_000;

/** `setIfNewer`: nothing newer is overwritten. */
export function addSetIfNewerTests(checks: Checks): void {
  if (!checks.supports.setIfNewer) return;
  const entryFrom = (startedAt: number, value: string): Entry => sampleEntry(startedAt, { startedAt, value });
  const store = async (tier: StorageTier, entry: Entry): Promise<boolean | undefined> =>
    tier.setIfNewer?.('k', entry, checks.now() + 3_600_000);

  checks.test('setIfNewer stores where nothing is', async (tier) => {
    const entry = sampleEntry(checks.now());
    checks.equal(await store(tier, entry), true);
    await checks.holds(tier, 'k', entry);
  });

  checks.test('setIfNewer replaces an entry whose load started earlier, as a whole', async (tier) => {
    const now = checks.now();
    const newer = sampleEntry(now, { startedAt: now, tags: [], meta: undefined, loadMs: 0 });
    await checks.set(tier, 'k', entryFrom(now - 1, 'older'));
    checks.equal(await store(tier, newer), true);
    await checks.holds(tier, 'k', newer);
  });

  checks.test('setIfNewer leaves an entry whose load started later', async (tier) => {
    const now = checks.now();
    const newer = entryFrom(now, 'newer');
    await checks.set(tier, 'k', newer);
    checks.equal(await store(tier, entryFrom(now - 1, 'older')), false);
    checks.equal(await store(tier, entryFrom(now - 0.5, 'older by half a millisecond')), false);
    await checks.holds(tier, 'k', newer);
  });

  checks.test('setIfNewer replaces an entry whose load started at the same instant', async (tier) => {
    const now = checks.now();
    const second = entryFrom(now, 'second');
    await checks.set(tier, 'k', entryFrom(now, 'first'));
    checks.equal(await store(tier, second), true);
    await checks.holds(tier, 'k', second);
  });

  checks.test('setIfNewer stores anything once a newer entry is deleted', async (tier) => {
    const now = checks.now();
    const older = entryFrom(now - 1, 'older');
    await checks.set(tier, 'k', entryFrom(now, 'newer'));
    await tier.delete('k');
    checks.equal(await store(tier, older), true);
    await checks.holds(tier, 'k', older);
  });

  checks.test('of overlapping calls of setIfNewer the newest wins', async (tier) => {
    const now = checks.now();
    const ages = [7, 2, 9, 0, 4, 1, 8, 3, 6, 5];
    await Promise.all(ages.map((age) => store(tier, entryFrom(now - age, `age ${age}`))));
    await checks.holds(tier, 'k', entryFrom(now, 'age 0'));
  });
}

/** `sweep`: outlived entries go, and no others. */
export function addSweepTests(checks: Checks): void {
  if (!checks.supports.sweep) return;

  checks.test('sweep removes what is outlived, at exactly its instant', async (tier) => {
    const entry = sampleEntry(checks.now());
    const at = checks.now() + 60_000;
    await tier.set('before', entry, at - 1);
    await tier.set('at', entry, at);
    await tier.set('after', entry, at + 1);
    checks.equal(await sweepAll(tier, at), 2);
    await checks.holds(tier, 'before', undefined);
    await checks.holds(tier, 'at', undefined);
    await checks.holds(tier, 'after', entry);
  });

  checks.test('sweep removes no more than its limit, and all in the end', async (tier) => {
    const entry = sampleEntry(checks.now());
    const at = checks.now() + 60_000;
    for (let number = 0; number < 5; number += 1) await tier.set(`outlived-${number}`, entry, at - number);
    for (let number = 0; number < 5; number += 1) await tier.set(`kept-${number}`, entry, at + 1 + number);
    checks.equal(await tier.sweep?.(at, 0), 0);
    const first = (await tier.sweep?.(at, 2)) ?? 0;
    checks.equal(first === 1 || first === 2, true);
    checks.equal(await countHeld(tier, 'outlived', 5), 5 - first);
    checks.equal(await sweepAll(tier, at), 5 - first);
    checks.equal(await countHeld(tier, 'outlived', 5), 0);
    checks.equal(await countHeld(tier, 'kept', 5), 5);
  });

  checks.test('sweep of nothing removes nothing', async (tier) => {
    checks.equal(await tier.sweep?.(checks.now(), 100), 0);
  });

  checks.test('sweep goes by the latest write of a key', async (tier) => {
    const entry = sampleEntry(checks.now());
    const at = checks.now() + 60_000;
    await tier.set('prolonged', entry, at);
    await tier.set('prolonged', entry, at + 1);
    await tier.set('shortened', entry, at + 1);
    await tier.set('shortened', entry, at);
    checks.equal(await sweepAll(tier, at), 1);
    await checks.holds(tier, 'prolonged', entry);
    await checks.holds(tier, 'shortened', undefined);
  });

  if (checks.supports.setIfNewer) {
    checks.test('sweep goes by what setIfNewer stored, not by what it refused', async (tier) => {
      const now = checks.now();
      const at = now + 60_000;
      await tier.set('stored', sampleEntry(now), at);
      await tier.setIfNewer?.('stored', sampleEntry(now + 1), at + 1);
      await tier.set('refused', sampleEntry(now), at);
      await tier.setIfNewer?.('refused', sampleEntry(now - 1), at + 1);
      checks.equal(await sweepAll(tier, at), 1);
      await checks.holds(tier, 'stored', sampleEntry(now + 1));
      await checks.holds(tier, 'refused', undefined);
    });
  }

  if (checks.supports.infinity) {
    checks.test('sweep never removes what is kept until Infinity', async (tier) => {
      const entry = sampleEntry(checks.now());
      await tier.set('k', entry, Infinity);
      checks.equal(await tier.sweep?.(Number.MAX_VALUE, 100), 0);
      await checks.holds(tier, 'k', entry);
    });
  }
}

/** `clear`, `close`, and the entries after reopening. */
export function addLifeTests(checks: Checks): void {
  const { clear, close, reopen, anyKey } = checks.supports;
  const keys = anyKey ? HOSTILE_KEYS : PLAIN_KEYS;

  if (clear) {
    checks.test('clear removes everything, and the tier goes on', async (tier) => {
      const entry = sampleEntry(checks.now());
      await tier.clear?.();
      for (const key of keys) await checks.set(tier, key, entry);
      await tier.clear?.();
      for (const key of keys) await checks.holds(tier, key, undefined);
      await checks.set(tier, 'k', entry);
      await checks.holds(tier, 'k', entry);
    });
  }

  if (close) {
    checks.test('close may be called twice, and before anything else', async (tier) => {
      await tier.close?.();
      await tier.close?.();
    });
  }

  if (reopen !== undefined) {
    checks.test('entries are the same after reopening, deleted ones stay deleted', async (tier) => {
      const now = checks.now();
      const entryAt = (index: number): Entry => sampleEntry(now, { value: index, loadMs: index + 0.5 });
      for (const [index, key] of keys.entries()) await checks.set(tier, key, entryAt(index));
      for (const [index, key] of keys.entries()) if (index % 2 === 0) await tier.delete(key);

      const again = await reopen(tier);
      try {
        for (const [index, key] of keys.entries())
          await checks.holds(again, key, index % 2 === 0 ? undefined : entryAt(index));
      } finally {
        await again.close?.();
      }
    });
  }
}

async function sweepAll(tier: StorageTier, now: number): Promise<number> {
  let total = 0;
  for (let sweeps = 0; sweeps < MOST_SWEEPS; sweeps += 1) {
    const removed = (await tier.sweep?.(now, 2)) ?? 0;
    if (removed === 0) return total;
    total += removed;
  }
  throw new Error(`sweep still claims to remove entries after ${MOST_SWEEPS} calls`);
}

async function countHeld(tier: StorageTier, prefix: string, count: number): Promise<number> {
  let held = 0;
  for (let number = 0; number < count; number += 1)
    if ((await tier.get(`${prefix}-${number}`)) !== undefined) held += 1;
  return held;
}
