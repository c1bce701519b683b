import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, type StorageAdapter, type StorageTier } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.ts';
import { setupGuard, WRITE_TIMEOUT } from '../support/setup-guard.ts';
import { wire } from '../support/wire.ts';

/** `stored` as a process sees it whose writes of entries wait until they are let through. */
function hanging(stored: StorageTier) {
  const waiting: (() => void)[] = [];
  const setIfVersion: StorageAdapter['setIfVersion'] = (...write) =>
    new Promise((resolve) => waiting.push(() => resolve(stored.setIfVersion!(...write))));
  const letThrough = async (): Promise<void> => {
    for (const pass of waiting.splice(0)) pass();
    await settle();
  };
  return { storage: defineStorage({ ...stored, setIfVersion }), letThrough };
}

/** Two processes over one storage, in one of which writes of entries hang. */
function setup({ hasMemory = false } = {}) {
  const clock = manualClock();
  const stored = mapStorage();
  const { storage, letThrough } = hanging(stored);
  const channel = wire();
  const common = { clock, ttl: '1h' as const, ...(hasMemory ? {} : { memory: false as const }) };
  const hung = setupCache({ ...common, storage, backplane: channel.plug() });
  const other = setupCache({ ...common, storage: stored });
  const load = async (value: string): Promise<void> => {
    const reading = hung.cache.get('k');
    await settle();
    hung.upstream.calls.at(-1)!.resolve(value);
    await reading;
    await settle();
  };
  return { clock, stored, hung, other, channel, load, letThrough };
}

describe('a write of a loaded entry that hangs', () => {
  test('beyond its deadline is shown to no reader any more: another process may have changed the key', async () => {
    const { clock, hung, other, load, letThrough } = setup();
    await load('old');
    await clock.advanceAsync(WRITE_TIMEOUT);

    await other.cache.invalidate('k');

    expect(await hung.cache.getIfCached('k')).toBeUndefined();
    await letThrough();
    expect(await other.cache.getIfCached('k')).toBeUndefined();
  });

  test('does not keep what others store from being read once a later write of the key is done', async () => {
    const { clock, stored, hung, other, load, letThrough } = setup();
    await load('old');
    await clock.advanceAsync(WRITE_TIMEOUT);
    await hung.cache.invalidate('k');

    await other.cache.set('k', 'new');

    expect(await hung.cache.getIfCached('k')).toBe('new');
    await letThrough();
    expect(await stored.get('k')).toMatchObject({ value: 'new' });
  });

  test('is shown to no reader before storage has taken it: another process may have changed the key', async () => {
    const { hung, other, load, letThrough } = setup();
    await load('old');
    await other.cache.invalidate('k');

    const reading = hung.cache.getIfCached('k');
    await letThrough();

    expect(await reading).toBeUndefined();
  });

  test('is what a reader gets once storage has taken it', async () => {
    const { hung, load, letThrough } = setup();
    await load('value');

    const reading = hung.cache.lookup('k');
    await letThrough();

    expect(await reading).toMatchObject({ value: 'value', status: 'hit' });
  });

  test('keeps a reader waiting no longer than any read', async () => {
    const { clock, hung, load, letThrough } = setup();
    await load('value');

    const reading = hung.cache.getIfCached('k');
    await clock.advanceAsync(1_000);

    expect(await reading).toBeUndefined();
    await letThrough();
  });

  test('is not what a refresh gets, which does not wait for it either', async () => {
    const { hung, load, letThrough } = setup({ hasMemory: true });
    await load('old');

    const refreshing = hung.cache.refresh('k');
    await settle();

    expect(hung.upstream.calls).toHaveLength(2);
    hung.upstream.calls[1]!.resolve('new');
    expect(await refreshing).toBe('new');
    await letThrough();
    await letThrough();
  });

  test('stays hidden by a change of another process when this one makes it stale', async () => {
    const { clock, hung, channel, load, letThrough } = setup();
    await load('old');
    channel.deliver({ origin: 'o', sequence: 1, kind: 'invalidate', keys: ['k'], at: clock.now(), space: [] });

    const expiring = hung.cache.expire('k');

    expect(await hung.cache.getIfCached('k')).toBeUndefined();
    await letThrough();
    await letThrough();
    await expiring;
  });
});

test('a tier of thousands of writes that hang is closed after one round of them, and one more attempt', async () => {
  const { guard, clock } = setupGuard({
    ...mapStorage(),
    deleteMany: undefined as never,
    delete: () => new Promise(() => {}),
  });
  for (let key = 0; key < 5_000; key += 1) void guard.remove(`k${key}`);
  await settle();
  let closed = false;

  void guard.close().then(() => (closed = true));
  await clock.advanceAsync(2 * WRITE_TIMEOUT);

  expect(closed).toBe(true);
});
