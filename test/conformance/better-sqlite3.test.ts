import BetterSqlite3 from 'better-sqlite3';
import { describe, expect, test } from 'vitest';

import { sqliteQueue, sqliteStorage } from '../../src/storage/sqlite.js';
import { storageSuite, writeQueueSuite } from '../../src/testing/index.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };

describe('storage over a handle of better-sqlite3, with defaults of its own', () => {
  const open = () => sqliteStorage({ database: new BetterSqlite3(':memory:').defaultSafeIntegers(true) });
  storageSuite(runner, { open, supports: { references: false, version: true, keys: true } });
});

describe('a queue over a handle of better-sqlite3, with defaults of its own', () => {
  const open = () => sqliteQueue({ database: new BetterSqlite3(':memory:').defaultSafeIntegers(true) });
  writeQueueSuite(runner, { open, supports: { references: false, unstorable: () => {}, own: true } });
});
