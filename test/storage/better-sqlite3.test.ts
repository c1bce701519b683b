import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import BetterSqlite3 from 'better-sqlite3';
import { expect, onTestFinished, test, vi } from 'vitest';

import { sqliteStorage } from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';
import { sqliteHandleSuite } from '../support/sqlite-handle-suite.js';

sqliteHandleSuite('better-sqlite3', () => new BetterSqlite3(':memory:'));

test('a handle of better-sqlite3 does where there is no node:sqlite', () => {
  const getBuiltinModule = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
  onTestFinished(() => getBuiltinModule.mockRestore());

  expect(sqliteStorage({ database: new BetterSqlite3(':memory:') }).get('k')).toBeUndefined();
});

test('a handle of better-sqlite3 keeps the busy timeout that it comes with', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const patient = new BetterSqlite3(join(directory, 'cache.db'));
  onTestFinished(() => {
    patient.close();
    rmSync(directory, { recursive: true });
  });

  await sqliteStorage({ database: patient, busyTimeout: 70 }).set('k', sampleEntry(0), 0);

  expect(patient.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 5_000 });
});
