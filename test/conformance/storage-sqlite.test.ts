import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';

import { afterAll, describe, expect, test } from 'vitest';

import { sqliteStorage } from '../../src/storage/sqlite.js';
import { storageSuite } from '../../src/testing/index.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

describe('a file', () => {
  const path = () => join(directory, `${files}.db`);
  const open = () => {
    files += 1;
    return sqliteStorage({ database: path() });
  };
  const reopen = async (tier: ReturnType<typeof open>) => {
    await tier.close?.();
    return sqliteStorage({ database: path() });
  };
  storageSuite(runner, { open, supports: { references: false, version: true, keys: true, reopen } });
});

describe('a path that is no file', () => {
  storageSuite(runner, {
    open: () => sqliteStorage({ database: ':memory:', maxEntries: 10_000 }),
    supports: { references: false, version: true, keys: true },
  });
});

describe('a codec that makes bytes', () => {
  const codec = {
    name: 'v8',
    encode: serialize,
    decode: (payload: string | Uint8Array) => deserialize(payload as Uint8Array) as unknown,
  };
  storageSuite(runner, {
    open: () => sqliteStorage({ database: ':memory:', codec }),
    supports: { references: false, version: true, keys: true, binary: true },
  });
});

describe('a handle of node:sqlite, with defaults of its own', () => {
  const open = () =>
    sqliteStorage({ database: new DatabaseSync(':memory:', { readBigInts: true, returnArrays: true }) });
  storageSuite(runner, { open, supports: { references: false, version: true, keys: true } });
});
