import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import BetterSqlite3 from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import {
  sqliteQueue,
  sqliteStorage,
  type SqliteDatabase,
  type SqliteStorageOptions,
} from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
/**
 * Milliseconds. An operation blocks for 25 at most, and a busy machine for some more; without care, 30 of them block for 750,
 * and one for as long as its busy timeout.
 */
const LONGEST_BLOCK = 400;

type Connect = (path: string) => SqliteDatabase;

/** A file, storages on it, and another connection that can lock it. */
function setup(connect: Connect = (path) => new DatabaseSync(path), journal: 'WAL' | 'DELETE' = 'WAL') {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const path = join(directory, 'cache.db');
  const closing: { close?(): unknown }[] = [];
  onTestFinished(async () => {
    for (const resource of closing.reverse()) await resource.close?.();
    rmSync(directory, { recursive: true });
  });
  const opened = <T extends { close?(): unknown }>(resource: T): T => {
    closing.push(resource);
    return resource;
  };
  const open = (options: Partial<SqliteStorageOptions> = {}) =>
    opened(sqliteStorage({ database: path, busyTimeout: 60_000, ...options }));
  // The two drivers in one process don't see each other's locks: a file has connections of one alone.
  const other = opened(connect(path));
  other.exec(`PRAGMA journal_mode = ${journal}`);
  return {
    path,
    open,
    opened,
    other,
    lock: () => other.exec('BEGIN IMMEDIATE'),
    unlock: () => other.exec('COMMIT'),
  };
}

/** The same, and a storage with one entry. */
async function setupStorage() {
  const parts = setup();
  const storage = parts.open();
  await storage.set('k', entryOf('before'), AT);
  return { ...parts, storage };
}

/** The same, with a storage over a handle. */
async function setupHandle(connect: Connect, journal?: 'DELETE') {
  const parts = setup(connect, journal);
  const database = parts.opened(connect(parts.path));
  const storage = parts.open({ database });
  await storage.set('k', entryOf('before'), AT);
  return { ...parts, database, storage };
}

const entryOf = (value: unknown, startedAt = AT) => sampleEntry(AT, { value, startedAt });

/** Watches for how long nothing else in the process could run. */
function watchTurns(): () => number {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  return () => {
    look();
    clearInterval(timer);
    return longest;
  };
}

/** Resolves after several tries of whoever waits for the lock. */
const tries = () => new Promise((resolve) => setTimeout(resolve, 300));

describe('while another connection has the lock', () => {
  test('30 changes wait without blocking the process, and all come to pass in their order', async () => {
    const { storage, lock, unlock } = await setupStorage();
    lock();

    const longest = watchTurns();
    const deletions = Array.from({ length: 30 }, (_, number) => storage.delete(`k${number}`));
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

  test('30 invalidations of a cache block nothing, and hold for other processes', async () => {
    const { storage, open, lock, unlock } = await setupStorage();
    const keys = Array.from({ length: 30 }, (_, number) => `k${number}`);
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

const DRIVERS: readonly [string, Connect][] = [
  ['node:sqlite', (path) => new DatabaseSync(path)],
  ['better-sqlite3', (path) => new BetterSqlite3(path, { timeout: 0 })],
];

describe.each(DRIVERS)('a handle of %s', (_driver, connect) => {
  test('waits for the lock of another connection without blocking the process', async () => {
    const { database, storage, lock, unlock } = await setupHandle(connect);
    lock();

    const longest = watchTurns();
    const changes = [storage.delete('k'), storage.set('k', entryOf('after'), AT)];
    await tries();
    unlock();
    await Promise.all(changes);

    expect(longest()).toBeLessThan(LONGEST_BLOCK);
    expect((await storage.get('k'))?.value).toBe('after');
    expect(database.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 25 });
  });

  test('whose readers meet the lock reads afterwards, without blocking once per read', async () => {
    const { storage, other } = await setupHandle(connect, 'DELETE');
    other.exec('BEGIN EXCLUSIVE');

    const longest = watchTurns();
    const reads = Array.from({ length: 30 }, () => storage.get('k'));
    const [many, asked] = [storage.getMany!(['k']), storage.version!('k', -Infinity)];
    await tries();
    other.exec('COMMIT');

    expect(new Set((await Promise.all(reads)).map((entry) => entry?.value))).toEqual(new Set(['before']));
    expect([(await many)[0]?.value, (await asked).entry?.value]).toEqual(['before', 'before']);
    expect(longest()).toBeLessThan(LONGEST_BLOCK);
  });

  test('in a transaction of its user meets a lock as an error, at once', async () => {
    const { database, storage, lock } = await setupHandle(connect);
    lock();

    database.exec('BEGIN');
    expect(() => storage.set('k', entryOf('after'), AT)).toThrow(/database is locked/);
    expect(() => storage.setIfNewer!('k', entryOf('after'), AT)).toThrow(/database is locked/);
    database.exec('ROLLBACK');
  });

  test('has no change that waited rolled back with a transaction begun meanwhile', async () => {
    const { database, storage, lock, unlock } = await setupHandle(connect);
    lock();

    const removed = storage.delete('k');
    database.exec('BEGIN');
    unlock();
    await tries();
    database.exec('ROLLBACK');

    expect(await removed).toBe(true);
    expect(await storage.get('k')).toBeUndefined();
  });
});
