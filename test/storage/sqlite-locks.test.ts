import { DatabaseSync } from 'node:sqlite';

import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import { sqliteQueue } from '../../src/storage/sqlite.js';
import {
  AT,
  entryOf,
  lockedHandleSuite,
  LONGEST_BLOCK,
  MANY,
  setupStorage,
  tries,
  watchTurns,
} from '../support/sqlite-locks.ts';

describe('while another connection has the lock', () => {
  test('many changes wait without blocking the process, and all come to pass in their order', async () => {
    const { storage, lock, unlock } = await setupStorage();
    lock();

    const longest = watchTurns();
    const deletions = Array.from({ length: MANY }, (_, number) => storage.delete(`k${number}`));
    const sets = ['a', 'b', 'c'].map((value) => storage.set('k', entryOf(value), AT));
    const removed = storage.delete('k');
    const last = storage.set('k', entryOf('last'), AT);
    await tries();
    unlock();

    expect(await Promise.all([...deletions, ...sets, removed, last])).toEqual([
      ...deletions.map(() => false),
      ...sets.map(() => undefined),
      true,
      undefined,
    ]);
    expect(longest()).toBeLessThan(LONGEST_BLOCK);
    expect((await storage.get('k'))?.value).toBe('last');
  });

  test('a change that meets no lock any more does not overtake one that still waits', async () => {
    const { storage, lock, unlock } = await setupStorage();
    lock();

    const earlier = storage.set('k', entryOf('earlier'), AT);
    unlock();
    const later = storage.delete('k');

    expect(await Promise.all([earlier, later])).toEqual([undefined, true]);
    expect(await storage.get('k')).toBeUndefined();
  });

  test('each kind of change is tried again, and is synchronous when the lock is gone', async () => {
    const { storage, lock, unlock } = await setupStorage();
    const { version } = await storage.version!('k', AT);
    const kinds: (() => unknown)[] = [
      () => storage.setIfVersion!('k', entryOf('loaded'), AT, version, false),
      () => storage.setIfVersion!('k', entryOf('changed'), AT, version, true),
      () => storage.setIfNewer!('k', entryOf('newer', AT + 1), AT),
      () => storage.sweep!(AT, 1),
      () => storage.deleteMany!(['k']),
      () => storage.clear!(),
    ];

    lock();
    const waiting = kinds.map((change) => change());
    await tries();
    unlock();

    expect(await Promise.all(waiting)).toEqual([true, true, true, 1, undefined, undefined]);
    expect(storage.set('k', entryOf('after'), AT)).toBeUndefined();
    expect(storage.get('k')).toEqual(entryOf('after'));
  });

  test('many invalidations of a cache block nothing, and hold for other processes', async () => {
    const { storage, open, lock, unlock } = await setupStorage();
    const keys = Array.from({ length: MANY }, (_, number) => `k${number}`);
    const cacheOver = (tier: typeof storage, value: string) =>
      new TieredCache<string>({ ttl: '1h', storage: tier, upstream: () => value });
    const [cache, elsewhere] = [cacheOver(storage, 'old'), cacheOver(open(), 'new')];
    await Promise.all(keys.map((key) => cache.get(key)));
    await cache.idle();
    lock();

    const longest = watchTurns();
    const invalidations = keys.map((key) => cache.invalidate(key));
    await tries();
    unlock();
    await Promise.all(invalidations);

    expect(longest()).toBeLessThan(LONGEST_BLOCK);
    expect(new Set(await Promise.all(keys.map((key) => elsewhere.get(key))))).toEqual(new Set(['new']));
    await Promise.all([cache.close(), elsewhere.close()]);
  });

  test('a first use waits for it as well', async () => {
    const { open, lock, unlock } = await setupStorage();
    lock();

    const longest = watchTurns();
    const stored = open({ table: 'another' }).set('k', entryOf('v'), AT);
    await tries();
    unlock();
    await stored;

    expect(longest()).toBeLessThan(LONGEST_BLOCK);
  });

  test('a queue accepts its writes afterwards, in their order', async () => {
    const { path, opened, lock, unlock } = await setupStorage();
    const queue = opened(sqliteQueue({ database: path, busyTimeout: 60_000 }));
    const write = (value: string) => ({
      ...{ id: '1', sequence: 1, key: 'k', kind: 'put' as const, value, at: AT, attempts: 0, revision: 0, triedFor: 0 },
      ...{ whole: false, dead: undefined },
    });
    await queue.load();
    lock();

    const longest = watchTurns();
    const puts = [queue.put([write('first')]), queue.put([write('second')])];
    await tries();
    unlock();
    await Promise.all(puts);

    expect(longest()).toBeLessThan(LONGEST_BLOCK);
    expect(await queue.load()).toEqual([write('second')]);
  });

  test('what waits when the storage is closed fails', async () => {
    const { storage, lock, unlock } = await setupStorage();
    lock();

    const waiting = storage.delete('k');
    await storage.close?.();
    unlock();

    await expect(waiting).rejects.toMatchObject({ code: 'SOLOFLIGHT_STORAGE_CLOSED' });
  });
});

describe('a handle of node:sqlite', () => {
  lockedHandleSuite((path) => new DatabaseSync(path));
});
