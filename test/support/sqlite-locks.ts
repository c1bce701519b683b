import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { expect, onTestFinished, test } from 'vitest';

import { sqliteStorage, type SqliteDatabase, type SqliteStorageOptions } from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

export const AT = 1_700_000_000_000;
export const MANY = 100;
/**
 * Milliseconds. An operation blocks for 25 at most, and a busy machine for some more; without care, so many of them block for
 * 2,500, and one for as long as its busy timeout, a minute.
 */
export const LONGEST_BLOCK = 2_000;

export type Connect = (path: string) => SqliteDatabase;

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
export async function setupStorage() {
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

export const entryOf = (value: unknown, startedAt = AT) => sampleEntry(AT, { value, startedAt });

/** Watches for how long nothing else in the process could run. */
export function watchTurns(): () => number {
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
export const tries = () => new Promise((resolve) => setTimeout(resolve, 300));

/** Registers the tests of a storage over a handle that `connect` gives, whose file another connection locks. */
export function lockedHandleSuite(connect: Connect): void {
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
    const reads = Array.from({ length: MANY }, () => storage.get('k'));
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
}
