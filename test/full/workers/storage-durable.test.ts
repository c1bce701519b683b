import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';

import { durableStorage } from '../../../src/cloudflare/index.js';
import type { StorageTier } from '../../../src/index.js';
import { storageSuite } from '../../../src/testing/index.js';
import { sampleEntry } from '../../../src/testing/storage-suite/samples.js';
import { waitPatiently } from '../../support/patience.js';
import { openDurableTier, reopenDurableTier } from '../../workers/durable-tier.js';

waitPatiently();

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };

describe('the storage of an object that issues no leases', () => {
  storageSuite(runner, {
    open: () => openDurableTier(false),
    supports: { references: false, binary: true, version: true, keys: true, lease: false, reopen: reopenDurableTier },
  });
});

describe('versions in an object', () => {
  const HOUR = 3_600_000;
  const entryOf = (value: string, startedAt = 1_000) => sampleEntry(2e12, { value, startedAt });
  let objects = 0;

  /** Runs `run` in a new object, with two tiers over its storage. */
  function inObject(
    run: (own: StorageTier, other: StorageTier, storage: DurableObjectStorage) => Promise<void>,
  ): Promise<void> {
    return runInDurableObject(env.BARE.getByName(`versions-${(objects += 1)}`), (_object, { storage }) =>
      run(durableStorage(storage), durableStorage(storage), storage),
    );
  }

  /** Counts the rows that `run` writes. */
  async function written(storage: DurableObjectStorage, run: () => unknown): Promise<number> {
    const exec = vi.spyOn(storage.sql, 'exec');
    await run();
    const cursors = exec.mock.results.flatMap(({ type, value }) => (type === 'return' ? [value] : []));
    exec.mockRestore();
    return cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
  }

  test('make no table, and cost a load no row', () =>
    inObject(async (own, _other, storage) => {
      const tables = () => storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%versions'").toArray();
      const { version } = await own.version!('k', -Infinity);
      await own.setIfVersion!('k', entryOf('first'), HOUR, version, false);
      expect(tables()).toEqual([]);

      const asNewer = await written(storage, () => own.setIfNewer!('k', entryOf('second'), HOUR));
      const asLoaded = await written(storage, () => own.setIfVersion!('k', entryOf('third'), HOUR, version, false));
      expect([asNewer > 0, asLoaded]).toEqual([true, asNewer]);

      await own.set('k', entryOf('set'), HOUR);
      expect(await written(storage, () => own.set('k', entryOf('set again'), HOUR))).toBe(asNewer + 1);
    }));

  test('refuse what one cache loaded before another one changed it, the first change of all included', () =>
    inObject(async (own, other) => {
      for (const change of [() => own.delete('k'), () => own.set('k', entryOf('set', 0), HOUR), () => own.clear!()]) {
        const { version } = await other.version!('k', -Infinity);
        await change();
        const left = await own.get('k');
        expect(await other.setIfVersion!('k', entryOf('loaded'), HOUR, version, false)).toBe(false);
        expect(await own.get('k')).toEqual(left);
      }
    }));

  test('never come back after everything was deleted', () =>
    inObject(async (own, _other, storage) => {
      const versions: string[] = [];
      const look = async () => versions.push((await own.version!('k', -Infinity)).version);
      for (let round = 0; round < 3; round += 1) {
        await look();
        await own.delete('k');
        await look();
        await storage.deleteAll();
      }

      expect(new Set(versions).size).toBe(6);
    }));
});

describe('the table of an object', () => {
  const HOUR = 3_600_000;
  const OLD = `CREATE TABLE soloflight (key BLOB NOT NULL PRIMARY KEY, format INTEGER NOT NULL, started_at REAL NOT NULL,
    created_at REAL NOT NULL, fresh_until REAL NOT NULL, stale_until REAL NOT NULL, error_until REAL NOT NULL,
    keep_until REAL NOT NULL, load_ms REAL NOT NULL, tags TEXT, meta TEXT, codec TEXT, value BLOB, pieces TEXT, size INTEGER)`;
  const entryOf = (value: string, startedAt: number) => sampleEntry(2e12, { value, startedAt });
  const written = (storage: DurableObjectStorage, run: () => unknown): number => {
    const exec = vi.spyOn(storage.sql, 'exec');
    run();
    const rows = exec.mock.results.map(({ value }) => (value as { readonly rowsWritten: number }).rowsWritten);
    exec.mockRestore();
    return rows.reduce((sum, count) => sum + count, 0);
  };

  test('costs a first load and a reload two rows each: the entry, and when it is outlived', () =>
    runInDurableObject(env.BARE.getByName('rows-written'), (_object, { storage }) => {
      const tier = durableStorage(storage);
      void tier.setIfNewer!('other', entryOf('makes the tables', 1), HOUR);

      const first = written(storage, () => tier.setIfNewer!('k', entryOf('first', 1), HOUR));
      const again = written(storage, () => tier.setIfNewer!('k', entryOf('second', 2), HOUR + 1));

      expect([first, again]).toEqual([2, 2]);
    }));

  test('may be that of 0.1.0: it is read, written and swept as before', () =>
    runInDurableObject(env.BARE.getByName('old-table'), async (_object, { storage }) => {
      const tier = durableStorage(storage);
      await tier.set('k', entryOf('kept', 1), HOUR);
      await tier.set('l', entryOf('outlived', 1), 1);
      storage.transactionSync(() => {
        storage.sql.exec('ALTER TABLE soloflight RENAME TO new_table');
        storage.sql.exec(OLD);
        storage.sql.exec('INSERT INTO soloflight SELECT * FROM new_table');
        storage.sql.exec('DROP TABLE new_table');
      });

      expect(await tier.sweep!(2, 10)).toBe(1);
      await tier.set('m', entryOf('new', 2), HOUR);

      expect((await tier.getMany!(['k', 'l', 'm'])).map((entry) => entry?.value)).toEqual(['kept', undefined, 'new']);
      expect(await tier.delete('k')).toBe(true);
    }));
});
