import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { mapStorage, TieredCache } from '../../src/index.js';
import { sqliteQueue, sqliteStorage } from '../../src/storage/sqlite.js';
import { chaos } from '../../src/testing/index.js';

/** The warnings of ours from now on. Node 22 has one of its own for its SQLite. */
function warnings(): readonly unknown[][] {
  const told: unknown[][] = [];
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation((...warning: unknown[]) => {
    if (typeof warning[1] === 'object') told.push(warning);
  });
  onTestFinished(() => spy.mockRestore());
  return told;
}

function failing(error = new Error('unable to open database file')) {
  const storage = chaos(mapStorage());
  storage.failAlways('all', error);
  return new TieredCache<number>({ ttl: '1m', storage, upstream: () => 1 });
}

describe('a failure that nobody listens for', () => {
  test('is one warning of the process, once for a cache', async () => {
    const told = warnings();
    const cache = failing();

    expect([await cache.get('a'), await cache.get('b'), await cache.namespace('n').get('c')]).toEqual([1, 1, 1]);

    expect(told).toEqual([
      [
        "storage 'map' failed (unable to open database file), and the cache goes on without it. Listen for `tier-error` events to hear of the next ones: this is said once",
        { type: 'SoloflightWarning', code: 'SOLOFLIGHT_UNHEARD' },
      ],
    ]);
    await failing().get('a');
    expect(told).toHaveLength(2);
  });

  test('is none while somebody listens', async () => {
    const told = warnings();
    const cache = failing();
    cache.on('tier-error', () => {});

    await cache.get('a');

    expect(told).toEqual([]);
  });

  test('in what the user handed in is one, too, also in a namespace', async () => {
    const told = warnings();
    const ttl = (): never => {
      throw new Error('no ttl');
    };
    const cache = new TieredCache<number>({ ttl, upstream: () => 1 });

    await cache.namespace('n').get('a');
    await cache.get('a');

    expect(told).toHaveLength(1);
    expect(told[0]![0]).toMatch(/^`ttl` failed \(no ttl\)/);
  });

  test('shows no key', async () => {
    const told = warnings();
    const cache = new TieredCache<unknown>({ ttl: '1m', storage: sqliteStorage({ database: ':memory:' }) });

    await cache.set('private', () => 1);

    expect(told).toHaveLength(1);
    expect(told[0]![0]).toMatch(/SOLOFLIGHT_UNENCODABLE/);
    expect(told[0]![0]).not.toMatch(/private/);
  });

  test('costs nothing where there is no process to warn', async () => {
    vi.stubGlobal('process', undefined);
    onTestFinished(() => void vi.unstubAllGlobals());

    expect(await failing().get('a')).toBe(1);
  });
});

describe('a path of SQLite', () => {
  const missing = join(tmpdir(), 'soloflight-no-such-directory', 'cache.db');

  test.each([
    ['in a directory that is not there', missing, /soloflight-no-such-directory.' does not exist\. Make it first/],
    ['of a directory', tmpdir(), /it is a directory\. Give the path of a file/],
  ])('%s is warned of when the storage is made', (_name, database, message) => {
    const told = warnings();

    sqliteStorage({ database });
    sqliteQueue({ database });

    expect(told).toHaveLength(2);
    expect(told[0]![0]).toMatch(message);
  });

  test('of a file that is not there yet is fine', () => {
    const told = warnings();

    for (const database of [join(tmpdir(), 'soloflight-not-there-yet.db'), 'not-there-yet.db', ':memory:'])
      sqliteStorage({ database });

    expect(told).toEqual([]);
  });

  test('of a file that is no database is said at the first read', async () => {
    const told = warnings();
    const cache = new TieredCache<number>({
      ttl: '1m',
      storage: sqliteStorage({ database: import.meta.filename }),
      upstream: () => 1,
    });

    expect(await cache.get('a')).toBe(1);
    expect(told[0]![0]).toMatch(/^storage 'sqlite' failed \(file is not a database\)/);
  });
});
