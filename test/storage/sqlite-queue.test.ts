import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll, describe, expect, test, vi } from 'vitest';

import type { QueuedWrite } from '../../src/contracts.js';
import { sqliteQueue, sqliteStorage, type SqliteDatabase } from '../../src/storage/sqlite.js';
import { WriteBehind } from '../../src/writes/index.js';

const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

function newFile(): string {
  files += 1;
  return join(directory, `${files}.db`);
}

function write(sequence: number, changes: Partial<QueuedWrite> = {}): QueuedWrite {
  return {
    ...{
      id: `w-${sequence}`,
      sequence,
      key: `k${sequence}`,
      kind: 'put' as const,
      value: sequence,
      at: 1,
      attempts: 0,
    },
    ...{ revision: 0, triedFor: 0, whole: false, dead: undefined },
    ...changes,
  };
}

/** A database that counts what it is told to do. */
function spied(path: string): { database: SqliteDatabase; statements: string[]; real: DatabaseSync } {
  const real = new DatabaseSync(path);
  const statements: string[] = [];
  const database: SqliteDatabase = {
    exec(sql) {
      statements.push(sql);
      real.exec(sql);
    },
    prepare: (sql) => real.prepare(sql),
    close: () => real.close(),
  };
  return { database, statements, real };
}

describe('durability', () => {
  test('a path is opened in WAL mode with full synchronisation', async () => {
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec');
    const queue = sqliteQueue({ database: newFile() });
    await queue.put([write(1)]);
    await queue.close?.();
    const executed = exec.mock.calls.map(([sql]) => sql);
    exec.mockRestore();

    expect(executed).toContain('PRAGMA journal_mode = WAL');
    expect(executed.filter((sql) => sql.includes('synchronous')).at(-1)).toBe('PRAGMA synchronous = FULL');
  });

  test('what one turn accepts is one transaction', async () => {
    const { database, statements } = spied(newFile());
    const writes = new WriteBehind<number>({ queue: sqliteQueue({ database }), sink: () => {}, flushEvery: Infinity });
    await writes.put('first', 0);
    statements.length = 0;

    await Promise.all(Array.from({ length: 1_000 }, (_, index) => writes.put(`k${index}`, index)));

    expect(statements.filter((sql) => sql === 'COMMIT').length).toBeLessThanOrEqual(4);
    await writes.close({ flush: false });
  });

  test('nothing becomes part of a transaction of the owner of the handle, whose end is waited for', async () => {
    const { database, real } = spied(newFile());
    const queue = sqliteQueue({ database });
    await queue.put([write(1)]);

    real.exec('BEGIN');
    const put = queue.put([write(2)]);
    await new Promise((resolve) => setImmediate(resolve));
    real.exec('ROLLBACK');
    await put;

    expect(await queue.load()).toHaveLength(2);
    real.close();
  });

  test('a transaction that does not end is an error, not a hang, and loses nothing that was said to be kept', async () => {
    const { database, real } = spied(newFile());
    const queue = sqliteQueue({ database, busyTimeout: 5 });
    await queue.put([write(1)]);

    real.exec('BEGIN');
    await expect(queue.put([write(2)])).rejects.toMatchObject({ code: 'SOLOFLIGHT_SQLITE_IN_TRANSACTION' });
    real.exec('COMMIT');

    expect(await queue.load()).toMatchObject([{ id: 'w-1' }]);
    real.close();
  });
});

describe('a table that holds what is not ours, or damaged', () => {
  test('gives an error for each such row, and the others', async () => {
    const path = newFile();
    const queue = sqliteQueue({ database: path });
    await queue.put([1, 2, 3, 4, 5].map((sequence) => write(sequence)));
    const other = new DatabaseSync(path);
    other.exec("UPDATE soloflight_writes SET value = '{' WHERE id = 'w-1'");
    other.exec("UPDATE soloflight_writes SET format = 2 WHERE id = 'w-2'");
    other.exec("UPDATE soloflight_writes SET codec = 'other' WHERE id = 'w-3'");
    other.exec("UPDATE soloflight_writes SET kind = 'patch' WHERE id = 'w-4'");
    other.close();

    const loaded = await queue.load();

    expect(loaded.map((row) => (row instanceof Error ? row.message.slice(0, 26) : row.id))).toEqual([
      ...[1, 2, 3, 4].map((number) => `The stored payload of 'k${number}'`),
      'w-5',
    ]);
    for (const row of loaded.slice(0, 4)) expect(row).toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
    await queue.close?.();
  });

  test('is read by a write-behind as far as it can be; what can not be read stays', async () => {
    const path = newFile();
    const first = sqliteQueue({ database: path });
    await first.put([write(1), write(2)]);
    await first.close?.();
    const other = new DatabaseSync(path);
    other.exec("UPDATE soloflight_writes SET value = '{' WHERE id = 'w-1'");
    const delivered: string[] = [];
    const errors: unknown[] = [];
    const writes = new WriteBehind<number>({
      queue: sqliteQueue({ database: path }),
      sink: (batch) => void delivered.push(...batch.map(({ key }) => key)),
    });
    writes.on('queue-error', ({ error }) => errors.push(error));

    await writes.flush();
    await writes.close();

    expect(delivered).toEqual(['k2']);
    expect(errors).toMatchObject([{ code: 'SOLOFLIGHT_UNDECODABLE', key: 'k1' }]);
    expect(other.prepare('SELECT id FROM soloflight_writes').all()).toEqual([{ id: 'w-1' }]);
    other.close();
  });
});

describe('a store that is full', () => {
  test('rejects what does not fit, and goes on when there is room again', async () => {
    const { database, real } = spied(newFile());
    const writes = new WriteBehind<string>({ queue: sqliteQueue({ database }), sink: () => {}, flushEvery: Infinity });
    await writes.put('small', 'x');
    const { page_count: pages } = real.prepare('PRAGMA page_count').get() as { page_count: number };
    real.exec(`PRAGMA max_page_count = ${pages + 2}`);

    const big = writes.put('big', 'x'.repeat(100_000));
    const small = writes.put('other', 'x');

    await expect(big).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE', key: 'big' });
    await small;
    expect(writes.status().pending).toBe(2);
    real.exec('PRAGMA max_page_count = 1000000');
    await writes.put('big', 'x'.repeat(100_000));
    await writes.close();
    expect(real.prepare('SELECT count(*) AS rows FROM soloflight_writes').get()).toEqual({ rows: 0 });
    real.close();
  });
});

describe('life cycle', () => {
  test('entries and writes share a file', async () => {
    const path = newFile();
    const [storage, queue] = [sqliteStorage({ database: path }), sqliteQueue({ database: path })];
    const at = { startedAt: 1, createdAt: 1, freshUntil: 2, staleUntil: 2, errorUntil: 2, loadMs: 0 };
    await storage.set('k', { value: 'v', ...at, tags: [], meta: undefined }, Infinity);
    await queue.put([write(1)]);

    expect((await storage.get('k'))?.value).toBe('v');
    expect(await queue.load()).toHaveLength(1);
    await storage.close?.();
    await queue.close?.();
  });

  test('a closed queue says so; a handle that was given stays open', async () => {
    const { database, real } = spied(newFile());
    const queue = sqliteQueue({ database });
    await queue.put([write(1)]);
    await queue.close?.();

    await expect(queue.put([write(2)])).rejects.toMatchObject({ code: 'SOLOFLIGHT_QUEUE_CLOSED' });
    expect(real.prepare('SELECT count(*) AS rows FROM soloflight_writes').get()).toEqual({ rows: 1 });
    real.close();
  });

  test('nothing is opened before the first use', () => {
    const { database, statements, real } = spied(newFile());
    sqliteQueue({ database });
    expect(statements).toEqual([]);
    real.close();
  });

  test.each([
    [undefined, 'Expected `options` to be an object'],
    [{}, 'Expected `database` to be a path or an open node:sqlite or better-sqlite3 database, got `undefined`'],
    [{ database: '' }, 'Expected `database` to be a path'],
    [{ database: ':memory:', table: 'a"b' }, 'Expected `table` to be a name of 1 to 63 letters'],
    [{ database: ':memory:', codec: JSON }, 'Expected `codec` to be a codec'],
    [{ database: ':memory:', busyTimeout: -1 }, 'Expected `busyTimeout` to be an integer ≥ 0 (milliseconds)'],
  ])('%j is a TypeError: %s', (options, message) => {
    expect(() => sqliteQueue(options as never)).toThrow(TypeError);
    expect(() => sqliteQueue(options as never)).toThrow(message);
  });
});
