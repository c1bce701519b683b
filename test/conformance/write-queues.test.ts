import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';

import { afterAll, describe, expect, test } from 'vitest';

import { sqliteQueue } from '../../src/storage/sqlite.js';
import { writeQueueSuite } from '../../src/testing/index.js';
import { memoryQueue } from '../../src/writes/index.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
const unstorable = (): void => {};
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

describe('memory', () => {
  const supports = { references: true, reopen: (queue: ReturnType<typeof memoryQueue>) => queue };
  writeQueueSuite(runner, { open: () => memoryQueue(), supports });
});

describe('a SQLite file', () => {
  const path = () => join(directory, `${files}.db`);
  const open = () => {
    files += 1;
    return sqliteQueue({ database: path() });
  };
  const reopen = async (queue: ReturnType<typeof open>) => {
    await queue.close?.();
    return sqliteQueue({ database: path() });
  };
  writeQueueSuite(runner, { open, supports: { references: false, unstorable, own: true, reopen } });
});

describe('a handle of node:sqlite, with defaults of its own', () => {
  const open = () => sqliteQueue({ database: new DatabaseSync(':memory:', { readBigInts: true, returnArrays: true }) });
  writeQueueSuite(runner, { open, supports: { references: false, unstorable, own: true } });
});

describe('a codec that makes bytes, later', () => {
  const codec = {
    name: 'v8',
    encode: async (value: unknown) => serialize(value),
    decode: async (payload: string | Uint8Array) => deserialize(payload as Uint8Array) as unknown,
  };
  writeQueueSuite(runner, {
    open: () => sqliteQueue({ database: ':memory:', codec }),
    supports: { references: false, unstorable, own: true },
  });
});
