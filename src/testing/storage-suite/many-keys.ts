import type { StorageTier, StorageWrite } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { pictureOf, sampleEntry } from './samples.js';

/** More than many drivers take as parameters of one query. */
const MANY = 1_500;

/** `getMany`, `setMany` and `deleteMany`, as far as they are supported. */
export function addBatchTests(checks: Checks): void {
  if (checks.supports.getMany) addGetManyTests(checks);
  if (checks.supports.setMany) addSetManyTests(checks);
  if (checks.supports.deleteMany) addDeleteManyTests(checks);
}

function addGetManyTests(checks: Checks): void {
  checks.test('getMany answers in the order of the keys, with undefined for missing ones', async (tier) => {
    const now = checks.now();
    for (const key of ['a', 'b', 'c']) await checks.set(tier, key, sampleEntry(now, { value: key }));
    checks.equal(await valuesOf(tier, ['c', 'missing', 'a', 'b', 'missing-too']), [
      'c',
      undefined,
      'a',
      'b',
      undefined,
    ]);
  });

  checks.test('getMany answers for a key as often as it is asked', async (tier) => {
    const now = checks.now();
    for (const key of ['a', 'b']) await checks.set(tier, key, sampleEntry(now, { value: key }));
    checks.equal(await valuesOf(tier, ['a', 'b', 'a', 'x', 'a', 'x']), ['a', 'b', 'a', undefined, 'a', undefined]);
  });

  checks.test('getMany of no keys answers nothing', async (tier) => {
    checks.equal([...((await tier.getMany?.([])) ?? ['no array'])], []);
  });

  checks.test('getMany gives whole entries, as get does', async (tier) => {
    const entry = sampleEntry(checks.now());
    await checks.set(tier, 'k', entry);
    const [read] = (await tier.getMany?.(['k'])) ?? [];
    checks.equal(pictureOf(read), pictureOf(entry));
  });

  checks.test(`getMany takes ${MANY} keys, and any kind of key`, async (tier) => {
    const keys = [...keysToTry(checks), ...Array.from({ length: MANY }, (_, number) => `many-${number}`)];
    const now = checks.now();
    for (const [index, key] of keys.entries())
      if (index % 3 !== 0) await checks.set(tier, key, sampleEntry(now, { value: index }));
    checks.equal(
      await valuesOf(tier, keys),
      keys.map((_, index) => (index % 3 === 0 ? undefined : index)),
    );
  });
}

function addSetManyTests(checks: Checks): void {
  checks.test(`setMany stores all it is given: ${MANY} keys, and any kind of key`, async (tier) => {
    const keys = [...keysToTry(checks), ...Array.from({ length: MANY }, (_, number) => `many-${number}`)];
    const writes = keys.map((key, index) => write(checks, key, sampleEntry(checks.now(), { value: index })));
    await tier.setMany?.(writes);
    for (const { key, entry } of writes) await checks.holds(tier, key, entry);
  });

  checks.test('setMany replaces what is there, and of two writes of one key keeps the last', async (tier) => {
    const now = checks.now();
    const last = sampleEntry(now, { value: 'last', startedAt: now - 60_000, meta: undefined });
    await checks.set(tier, 'k', sampleEntry(now));
    await tier.setMany?.([
      write(checks, 'k', sampleEntry(now, { value: 'first' })),
      write(checks, 'other', sampleEntry(now)),
      write(checks, 'k', last),
    ]);
    await checks.holds(tier, 'k', last);
    await checks.holds(tier, 'other', sampleEntry(now));
  });

  checks.test('setMany of nothing changes nothing', async (tier) => {
    const entry = sampleEntry(checks.now());
    await checks.set(tier, 'k', entry);
    await tier.setMany?.([]);
    await checks.holds(tier, 'k', entry);
  });
}

function addDeleteManyTests(checks: Checks): void {
  checks.test('deleteMany removes its keys alone; missing and repeated ones are no error', async (tier) => {
    const entry = sampleEntry(checks.now());
    for (const key of ['a', 'b', 'c', 'd']) await checks.set(tier, key, entry);
    await tier.deleteMany?.(['a', 'missing', 'c', 'a']);
    for (const key of ['a', 'c']) await checks.holds(tier, key, undefined);
    for (const key of ['b', 'd']) await checks.holds(tier, key, entry);
  });

  checks.test('deleteMany of no keys removes nothing', async (tier) => {
    const entry = sampleEntry(checks.now());
    await checks.set(tier, 'k', entry);
    await tier.deleteMany?.([]);
    await checks.holds(tier, 'k', entry);
  });

  checks.test(`deleteMany takes ${MANY} keys, and any kind of key`, async (tier) => {
    const hostile = keysToTry(checks);
    const entry = sampleEntry(checks.now());
    for (const key of hostile) await checks.set(tier, key, entry);
    await tier.deleteMany?.([...hostile.slice(1), ...Array.from({ length: MANY }, (_, number) => `many-${number}`)]);
    for (const [index, key] of hostile.entries()) await checks.holds(tier, key, index === 0 ? entry : undefined);
  });
}

function keysToTry(checks: Checks): readonly string[] {
  return checks.supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS;
}

function write(checks: Checks, key: string, entry: Entry): StorageWrite {
  return { key, entry, keepUntil: checks.now() + 3_600_000 };
}

async function valuesOf(tier: StorageTier, keys: readonly string[]): Promise<unknown[]> {
  const entries = (await tier.getMany?.(keys)) ?? [];
  return entries.map((entry) => entry?.value);
}
