import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';

import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import type { Codec } from '../../src/contracts.js';
import { isSoloflightError } from '../../src/errors.js';
import { sqliteStorage, type SqliteDatabase, type SqliteStorageOptions } from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';
import { sqliteHandleSuite } from '../support/sqlite-handle-suite.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);

/** A file, adapters on it, and a connection of its own to look behind them. */
function setup() {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const path = join(directory, 'cache.db');
  const closing: { close?(): unknown }[] = [];
  const closed = <T extends { close?(): unknown }>(resource: T): T => {
    closing.unshift(resource);
    return resource;
  };
  onTestFinished(() => {
    for (const resource of closing) resource.close?.();
    rmSync(directory, { recursive: true });
  });
  return {
    path,
    open: (options: Partial<SqliteStorageOptions> = {}) => closed(sqliteStorage({ database: path, ...options })),
    connect: () => {
      const database = new DatabaseSync(path);
      // The test itself may close it before.
      closed({ close: () => database.isOpen && database.close() });
      return database;
    },
  };
}

/** A handle that notes which SQL it is given. */
function noting(database: SqliteDatabase) {
  const executed: string[] = [];
  const prepared: string[] = [];
  const runs = new Map<string, number>();
  const handle: SqliteDatabase = {
    exec(sql) {
      executed.push(sql);
      return database.exec(sql);
    },
    prepare(sql) {
      prepared.push(sql);
      const statement = database.prepare(sql);
      const note = () => runs.set(sql, (runs.get(sql) ?? 0) + 1);
      return {
        get: (...values) => (note(), statement.get(...values)),
        run: (...values) => (note(), statement.run(...values)),
        all: (...values) => (note(), statement.all(...values)),
      };
    },
    close: () => database.close(),
  };
  return { handle, executed, prepared, runs };
}

function rowsIn(database: DatabaseSync): number {
  return database.prepare('SELECT count(*) AS rows FROM soloflight').get()?.['rows'] as number;
}

function codeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return isSoloflightError(error) ? error.code : error;
  }
}

afterEach(() => vi.restoreAllMocks());

describe('constructing', () => {
  test('touches neither the file nor the handle', () => {
    const { path, open } = setup();
    const { handle, executed, prepared } = noting(new DatabaseSync(':memory:'));

    open();
    open({ database: handle });

    expect(existsSync(path)).toBe(false);
    expect([...executed, ...prepared]).toEqual([]);
  });

  test.each<[unknown, string]>([
    [undefined, 'Expected `options` to be an object, got `undefined`'],
    [{}, 'Expected `database` to be a path or an open node:sqlite or better-sqlite3 database, got `undefined`'],
    [
      { database: '' },
      "Expected `database` to be a path or an open node:sqlite or better-sqlite3 database, got `''` (string)",
    ],
    [
      { database: { exec() {} } },
      'Expected `database` to be a path or an open node:sqlite or better-sqlite3 database, got `object` (object)',
    ],
    [
      { database: 'x', codec: { name: 'x' } },
      'Expected `codec` to be a codec (name, encode, decode), got `object` (object)',
    ],
    [{ database: 'x', maxEntries: 0 }, 'Expected `maxEntries` to be an integer ≥ 1 or Infinity, got `0` (number)'],
    [{ database: 'x', maxEntries: '5' }, "Expected `maxEntries` to be an integer ≥ 1 or Infinity, got `'5'` (string)"],
    [
      { database: 'x', busyTimeout: -1 },
      'Expected `busyTimeout` to be an integer ≥ 0 (milliseconds), got `-1` (number)',
    ],
    [
      { database: 'x', busyTimeout: '1; DROP TABLE x' },
      "Expected `busyTimeout` to be an integer ≥ 0 (milliseconds), got `'1; DROP TABLE x'` (string)",
    ],
  ])('with %j is a misuse', (options, message) => {
    expect(() => sqliteStorage(options as SqliteStorageOptions)).toThrow(new TypeError(message));
  });

  test.each([
    '',
    '1a',
    'a b',
    'a"b',
    'x"; DROP TABLE y; --',
    "a'b",
    'a.b',
    'a\0',
    'ä',
    'sqlite_master',
    'SQLite_x',
    'a'.repeat(64),
    7,
    null,
  ])('with the table name %j is refused', (table) => {
    expect(() => sqliteStorage({ database: 'x', table: table as string })).toThrow(
      /^Expected `table` to be a name of 1 to 63 letters/,
    );
  });

  test('with a path, where there is no node:sqlite, says what to do', () => {
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);

    expect(() => sqliteStorage({ database: 'x' })).toThrow(
      /^A `database` given as a path needs node:sqlite, which Node v[\d.]+ lacks\. Use Node 22\.13/,
    );
    expect(codeOf(() => sqliteStorage({ database: 'x' }))).toBe('SOLOFLIGHT_SQLITE_UNAVAILABLE');
    expect(sqliteStorage({ database: new DatabaseSync(':memory:') }).get('k')).toBeUndefined();
  });
});

describe('a file', () => {
  test('keeps instants exactly when it is reopened', async () => {
    const { open } = setup();
    const entry = sampleEntry(AT, {
      startedAt: AT + 0.125,
      createdAt: AT + 0.25,
      freshUntil: 2 ** 53 + 2,
      staleUntil: 1e21,
      errorUntil: Infinity,
      loadMs: 0.1,
    });

    const first = open();
    await first.set('k', entry, Infinity);
    await first.close?.();

    expect(await open().get('k')).toEqual(entry);
  });

  test('is in WAL mode and closed with the tier', async () => {
    const { path, open, connect } = setup();
    const storage = open();
    await storage.set('k', ENTRY, AT);

    expect(connect().prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(existsSync(`${path}-wal`)).toBe(true);
  });

  test('is let go by close, after which the tier is of no more use', async () => {
    const { path, open } = setup();
    const storage = open();
    await storage.set('k', ENTRY, AT);

    await storage.close?.();

    // SQLite removes the log with the last connection.
    expect(existsSync(`${path}-wal`)).toBe(false);
    for (const use of [
      () => storage.get('k'),
      () => storage.set('k', ENTRY, AT),
      () => storage.getMany?.(['k']),
      () => storage.sweep?.(AT, 1),
    ]) {
      expect(codeOf(use)).toBe('SOLOFLIGHT_STORAGE_CLOSED');
    }
  });

  test("that can't be opened fails each call, and serves once it can", () => {
    const { path, open } = setup();
    const storage = open({ database: `${path}-missing/cache.db` });

    expect(() => storage.get('k')).toThrow(/unable to open/);
    expect(() => storage.set('k', ENTRY, AT)).toThrow(/unable to open/);
    mkdirSync(`${path}-missing`);
    expect(storage.get('k')).toBeUndefined();
  });

  test('may hold several tables, also ones named like keywords', async () => {
    const { open } = setup();
    const tables = ['select', 'Order', '_', 'cache_2'].map((table) => open({ table }));

    for (const [index, storage] of tables.entries()) await storage.set('k', sampleEntry(AT, { value: index }), AT);
    await tables[0]!.clear?.();

    expect(await Promise.all(tables.map(async (storage) => (await storage.get('k'))?.value))).toEqual([
      undefined,
      1,
      2,
      3,
    ]);
  });

  test("with a table of somebody else's by that name is left as it is", () => {
    const { open, connect } = setup();
    const owner = connect();
    owner.exec("CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO posts VALUES (1, 'mine')");
    const storage = open({ table: 'posts' });

    expect(() => storage.set('k', ENTRY, AT)).toThrow(/no such column: keep_until/);
    expect(() => storage.clear?.()).toThrow(/no such column/);

    expect(owner.prepare('SELECT title FROM posts').all()).toEqual([{ title: 'mine' }]);
  });
});

describe('a locked file', () => {
  test('fails a write after the busy timeout, the ones behind it with theirs, and serves reads meanwhile', async () => {
    const { open, connect } = setup();
    const storage = open({ busyTimeout: 50 });
    await storage.set('k', ENTRY, AT);
    const other = connect();
    other.exec('BEGIN IMMEDIATE');

    // A machine may make it wait for longer: only that it waits can be measured.
    const start = performance.now();
    const writes = [
      storage.set('k', sampleEntry(AT, { value: 'new' }), AT),
      storage.setMany?.([{ key: 'k', entry: ENTRY, keepUntil: AT }]),
      storage.deleteMany?.(['k']),
    ];
    expect(storage.get('k')).toEqual(ENTRY);
    for (const outcome of await Promise.allSettled(writes))
      expect(outcome).toMatchObject({ status: 'rejected', reason: { errcode: 5, message: 'database is locked' } });
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);

    expect(await storage.get('k')).toEqual(ENTRY);
    other.exec('COMMIT');
    await storage.setMany?.([{ key: 'k', entry: sampleEntry(AT, { value: 'new' }), keepUntil: AT }]);
    expect((await storage.get('k'))?.value).toBe('new');
  });

  test('fails the first use too, and a later one opens it after all', async () => {
    const { open, connect } = setup();
    const other = connect();
    other.exec('CREATE TABLE t (x); BEGIN EXCLUSIVE');
    const storage = open({ busyTimeout: 20 });
    const closing = vi.spyOn(DatabaseSync.prototype, 'close');
    const said = vi.spyOn(DatabaseSync.prototype, 'exec');

    await expect(storage.get('k')).rejects.toThrow(/database is locked/);
    expect(said.mock.calls[0]).toEqual(['PRAGMA busy_timeout = 20']);
    // Not one connection is left open, however often it was tried.
    expect(closing.mock.calls.length).toBe(
      said.mock.calls.filter(([sql]) => sql === 'PRAGMA busy_timeout = 20').length,
    );

    other.exec('COMMIT');
    expect(await storage.get('k')).toBeUndefined();
    // A connection learns of another's change of mode only when it reads the file.
    expect(connect().prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
  });

  test('is tried again at once by nobody who asked not to wait', () => {
    const { open, connect } = setup();
    const storage = open({ busyTimeout: 0 });
    storage.get('k');
    connect().exec('BEGIN IMMEDIATE');

    expect(() => storage.delete('k')).toThrow(/database is locked/);
  });

  test('that is written to at the first use is waited for', async () => {
    const { path, open, connect } = setup();
    connect().exec('CREATE TABLE t (x)');
    const opening = new Int32Array(new SharedArrayBuffer(4));
    const writer = new Worker(
      `const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
      const database = new DatabaseSync(workerData.path);
      const opening = new Int32Array(workerData.opening);
      // Who opens the file may just be reading it when this one is to end.
      database.exec('PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE; INSERT INTO t VALUES (1)');
      parentPort.postMessage('writing');
      Atomics.wait(opening, 0, 0);
      // It is about to open the file, and tells nobody any more: it waits inside SQLite.
      Atomics.wait(opening, 0, 1, 100);
      database.exec('COMMIT');
      database.close();`,
      { eval: true, workerData: { path, opening: opening.buffer } },
    );
    const exited = once(writer, 'exit');
    await once(writer, 'message');

    Atomics.store(opening, 0, 1);
    Atomics.notify(opening, 0);
    expect(await open({ busyTimeout: 10_000 }).get('k')).toBeUndefined();

    await exited;
  });
});

describe('a database of 0.1.0', () => {
  /** The table as that version made it, with one entry. */
  const SCHEMA = `CREATE TABLE "soloflight" (key BLOB NOT NULL PRIMARY KEY, format INTEGER NOT NULL, started_at REAL NOT NULL,
    created_at REAL NOT NULL, fresh_until REAL NOT NULL, stale_until REAL NOT NULL, error_until REAL NOT NULL,
    keep_until REAL NOT NULL, load_ms REAL NOT NULL, tags TEXT, meta TEXT, codec TEXT, value BLOB);
    CREATE INDEX "soloflight_keep_until" ON "soloflight" (keep_until);
    INSERT INTO soloflight VALUES ('k', 1, 5, 6, 7, 8, 9, 10, 1.5, '["a"]', NULL, 'json', '"old"')`;

  test('is read as it is, and has versions from the first use on', async () => {
    const { open, connect } = setup();
    connect().exec(SCHEMA);
    const storage = open();

    const { version, entry } = await storage.version!('k', -Infinity);
    expect(entry).toMatchObject({ value: 'old', startedAt: 5, errorUntil: 9, loadMs: 1.5, tags: ['a'] });
    expect(await storage.get('k')).toEqual(entry);
    await storage.delete('k');

    expect(await storage.setIfVersion!('k', ENTRY, AT, version, false)).toBe(false);
    expect(await storage.get('k')).toBeUndefined();
  });
});

describe('versions', () => {
  test.each(['delete', 'deleteMany', 'set', 'setMany', 'clear'] as const)(
    'of two caches on one file: what the one loads is refused after a %s of the other, and gone after a later one',
    async (kind) => {
      const { open } = setup();
      const [a, b] = [open(), open()];
      const change = () =>
        ({
          delete: () => a.delete('k'),
          deleteMany: () => a.deleteMany!(['other', 'k']),
          set: () => a.set('k', sampleEntry(AT, { value: 'set', startedAt: AT - 5 }), AT),
          setMany: () =>
            a.setMany!([{ key: 'k', entry: sampleEntry(AT, { value: 'set', startedAt: AT - 5 }), keepUntil: AT }]),
          clear: () => a.clear!(),
        })[kind]();
      const loaded = sampleEntry(AT, { value: 'loaded', startedAt: AT });
      const left = kind.startsWith('set') ? 'set' : undefined;

      const before = await b.version!('k', -Infinity);
      await change();
      expect(await b.setIfVersion!('k', loaded, AT, before.version, false)).toBe(false);
      expect((await b.get('k'))?.value).toBe(left);

      const { version } = await b.version!('k', -Infinity);
      expect(await b.setIfVersion!('k', loaded, AT, version, false)).toBe(true);
      await change();
      expect((await b.get('k'))?.value).toBe(left);
    },
  );

  test('of a table that was dropped never come back', async () => {
    const { open, connect } = setup();
    const before = await open().version!('k', 0);

    connect().exec('DROP TABLE soloflight; DROP TABLE soloflight_versions');
    const storage = open();

    expect((await storage.version!('k', 0)).version).not.toBe(before.version);
    expect(await storage.setIfVersion!('k', ENTRY, AT, before.version, false)).toBe(false);
  });

  test('are as they were after a change that was rolled back', async () => {
    const { open } = setup();
    const database = new DatabaseSync(':memory:');
    const storage = open({ database });
    const { version } = await storage.version!('k', 0);

    database.exec('BEGIN');
    await storage.delete('k');
    expect((await storage.version!('k', 0)).version).not.toBe(version);
    database.exec('ROLLBACK');
    expect(() => storage.setMany!([{ key: 'k', entry: ENTRY, keepUntil: NaN }])).toThrow(/constraint failed/);

    expect((await storage.version!('k', 0)).version).toBe(version);
  });

  test('take no more than 1,025 rows, however many keys are changed', async () => {
    const { open, connect } = setup();
    const storage = open();

    await storage.deleteMany!(Array.from({ length: 20_000 }, (_, number) => `k${number}`));

    const counted = connect().prepare('SELECT count(*) AS rows, max(count) AS most FROM soloflight_versions');
    expect(counted.get()?.['rows']).toBe(1_025);
  });

  test('come without an entry that can not be decoded', async () => {
    const { open, connect } = setup();
    const storage = open();
    await storage.set('k', ENTRY, AT);
    connect().exec('UPDATE soloflight SET format = 2');

    expect(await storage.version!('k', -Infinity)).toEqual({ version: expect.any(String), entry: undefined });
  });
});

describe("a row that this version can't read", () => {
  const reversing: Codec = {
    name: 'reversing',
    encode: (value) => JSON.stringify(value).split('').reverse().join(''),
    decode: (payload) => JSON.parse((payload as string).split('').reverse().join('')) as unknown,
  };

  test.each([
    ['an unknown format version', 'UPDATE soloflight SET format = 2', /format version 2, and only 1/],
    ['no format version', "UPDATE soloflight SET format = ''", /format version/],
    [
      'another codec',
      "UPDATE soloflight SET codec = 'msgpack'",
      /written with the codec 'msgpack', and this one is 'json'/,
    ],
    ['a payload cut short', 'UPDATE soloflight SET value = substr(value, 1, 3)', /the codec 'json' failed on it/],
    ['bytes that are no text', "UPDATE soloflight SET value = x'ff'", /the codec 'json' failed on it/],
    ['no payload', 'UPDATE soloflight SET value = NULL', /no payload/],
    ['tags that are no JSON', "UPDATE soloflight SET tags = 'a,b'", /its tags can't be parsed as JSON/],
    ['meta that is no JSON', "UPDATE soloflight SET meta = '{'", /its meta can't be parsed as JSON/],
  ])('for %s is undecodable, and stays', async (_, damage, why) => {
    const { open, connect } = setup();
    const storage = open();
    await storage.set('k', ENTRY, AT + 1);
    await storage.set('other', ENTRY, AT + 1);
    const behind = connect();
    behind.exec(`${damage} WHERE key = 'k'`);

    expect(() => storage.get('k')).toThrow(why);
    expect(codeOf(() => storage.get('k'))).toBe('SOLOFLIGHT_UNDECODABLE');
    expect(await storage.getMany?.(['k', 'other'])).toEqual([undefined, ENTRY]);
    await storage.sweep?.(AT, 100);
    expect(rowsIn(behind)).toBe(2);

    await storage.set('k', ENTRY, AT);
    expect(await storage.get('k')).toEqual(ENTRY);
  });

  test('is left to the codec that wrote it, while absent entries need none', async () => {
    const { open } = setup();
    const [json, reversed] = [open(), open({ codec: reversing })];
    const absent = sampleEntry(AT, { value: undefined });

    await json.set('k', ENTRY, AT);
    await json.set('absent', absent, AT);

    expect(codeOf(() => reversed.get('k'))).toBe('SOLOFLIGHT_UNDECODABLE');
    expect(await reversed.get('absent')).toEqual(absent);
    expect(await json.get('k')).toEqual(ENTRY);
  });

  test('because the codec throws keeps the reason', async () => {
    const { open } = setup();
    const reason = new Error('no decoder here');
    const throwing: Codec = {
      ...reversing,
      decode: () => {
        throw reason;
      },
    };
    await open({ codec: reversing }).set('k', ENTRY, AT);

    expect(() => open({ codec: throwing }).get('k')).toThrow(expect.objectContaining({ key: 'k', cause: reason }));
    expect(codeOf(() => open({ codec: { ...reversing, decode: () => undefined } }).get('k'))).toBe(
      'SOLOFLIGHT_UNDECODABLE',
    );
  });
});

describe("a value that can't be stored", () => {
  test.each([
    [
      'a codec that throws',
      {
        encode: () => {
          throw new RangeError('too deep');
        },
      },
      /too deep/,
    ],
    [
      'a codec that gives neither text nor bytes',
      { encode: () => 5 as never },
      /Expected `result of json\.encode` to be a string or a Uint8Array, got `5`/,
    ],
    ['a codec that gives text SQLite would change', { encode: () => '\ud800' }, /without lone surrogates/],
  ])('because of %s fails the write and leaves what was there', async (_, broken, why) => {
    const { open } = setup();
    await open().set('k', ENTRY, AT);
    const storage = open({ codec: { name: 'json', decode: () => 0, ...broken } });

    expect(() => storage.set('k', sampleEntry(AT, { value: 'new' }), AT)).toThrow(why);
    expect(() => storage.setMany?.([{ key: 'k', entry: sampleEntry(AT, { value: 'new' }), keepUntil: AT }])).toThrow(
      why,
    );
    expect(codeOf(() => storage.setIfNewer?.('k', sampleEntry(AT), AT))).toBe('SOLOFLIGHT_UNENCODABLE');

    expect(await open().get('k')).toEqual(ENTRY);
  });

  test('because its meta is no JSON, or an instant no number, fails the write', async () => {
    const { open } = setup();
    const storage = open();
    await storage.set('k', ENTRY, AT);

    expect(() => storage.set('k', sampleEntry(AT, { meta: () => 1 }), AT)).toThrow(/its `meta` is no JSON data/);
    expect(() => storage.set('k', sampleEntry(AT, { createdAt: NaN }), AT)).toThrow(/NOT NULL constraint failed/);
    expect(() => storage.set('k', ENTRY, NaN)).toThrow(/NOT NULL constraint failed/);

    expect(await storage.get('k')).toEqual(ENTRY);
  });
});

describe('sweeping', () => {
  test('finds what is outlived by the index, as does keeping within bounds', async () => {
    const { path, open } = setup();
    const database = new DatabaseSync(path);
    const { handle, prepared } = noting(database);
    await open({ database: handle }).get('k');

    const deletions = prepared.filter((sql) => sql.includes('ORDER BY keep_until'));
    const plans = deletions.map((sql) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => String(row['detail'])),
    );

    expect(plans).toHaveLength(2);
    expect(plans[0]).toContainEqual(
      expect.stringMatching(/^SEARCH soloflight USING COVERING INDEX soloflight_keep_until \(keep_until<\?\)/),
    );
    expect(plans[1]).toContainEqual(
      expect.stringMatching(/^SCAN soloflight USING COVERING INDEX soloflight_keep_until/),
    );
    expect(plans.flat().filter((detail) => /TEMP B-TREE|^SCAN soloflight$/.test(detail))).toEqual([]);
    database.close();
  });

  test('takes any limit without going beyond it', async () => {
    const { open, connect } = setup();
    const storage = open();
    for (let number = 0; number < 10; number += 1) await storage.set(`k${number}`, ENTRY, AT);

    const removed = [-1, 0, 0.9, NaN, 2.7, Infinity].map((limit) => storage.sweep?.(AT, limit));

    expect(removed).toEqual([0, 0, 0, 0, 2, 8]);
    expect(rowsIn(connect())).toBe(0);
  });
});

describe('maxEntries', () => {
  test.each([1, 2, 7, 8, 20, 100])(
    'of %i is never exceeded, and what is outlived soonest goes first',
    async (maxEntries) => {
      const { open, connect } = setup();
      const storage = open({ maxEntries });
      let most = 0;

      await storage.get('k');
      const behind = connect();
      for (let number = 0; number < maxEntries * 3; number += 1) {
        await storage.set(`k${number}`, ENTRY, AT + number);
        most = Math.max(most, rowsIn(behind));
      }

      expect(most).toBe(maxEntries);
      const held = rowsIn(behind);
      expect(held).toBeGreaterThan(maxEntries * 0.85 - 1);
      const newest = Array.from({ length: held }, (_, back) => `k${maxEntries * 3 - 1 - back}`);
      expect((await storage.getMany?.(newest))?.filter((entry) => entry === undefined)).toEqual([]);
    },
  );

  test('counts batches and setIfNewer too', async () => {
    const { open, connect } = setup();
    const storage = open({ maxEntries: 10 });

    await storage.setMany?.(
      Array.from({ length: 1_000 }, (_, number) => ({ key: `k${number}`, entry: ENTRY, keepUntil: AT + number })),
    );
    const afterBatch = rowsIn(connect());
    for (let number = 0; number < 50; number += 1) await storage.setIfNewer?.(`n${number}`, ENTRY, AT + 2_000 + number);

    expect(afterBatch).toBe(10);
    expect(rowsIn(connect())).toBe(10);
  });

  test('counts rows once in a while, not at each write', async () => {
    const { open } = setup();
    const { handle, prepared, runs } = noting(new DatabaseSync(':memory:'));
    const storage = open({ database: handle, maxEntries: 800 });

    for (let number = 0; number < 2_000; number += 1) await storage.set(`k${number}`, ENTRY, AT + number);

    const counting = prepared.find((sql) => sql.includes('count(*)'))!;
    expect(runs.get(counting)).toBeGreaterThan(1);
    expect(runs.get(counting)).toBeLessThanOrEqual(21);
  });

  test('cuts a table that is far too large in steps, none of them long', async () => {
    const { open, connect } = setup();
    const unbounded = open();
    await unbounded.setMany?.(
      Array.from({ length: 2_000 }, (_, number) => ({ key: `k${number}`, entry: ENTRY, keepUntil: AT + number })),
    );
    const storage = open({ maxEntries: 100 });
    const behind = connect();

    const steps: number[] = [];
    for (let number = 0; number < 12; number += 1) {
      const before = rowsIn(behind);
      await storage.set(`n${number}`, ENTRY, AT + 5_000);
      steps.push(before + 1 - rowsIn(behind));
    }

    expect(Math.max(...steps)).toBe(256);
    expect(rowsIn(behind)).toBeLessThanOrEqual(100);
  });

  test("that can't be enforced at the moment does not fail the write", async () => {
    const { open } = setup();
    const database = new DatabaseSync(':memory:');
    const failing: SqliteDatabase = {
      exec: (sql) => database.exec(sql),
      close: () => database.close(),
      prepare: (sql) => {
        const statement = database.prepare(sql);
        if (!sql.includes('count(*)')) return statement;
        return {
          run: () => ({ changes: 0 }),
          all: () => [],
          get: () => {
            throw new Error('database is locked');
          },
        };
      },
    };
    const storage = open({ database: failing, maxEntries: 1 });

    await storage.set('a', ENTRY, AT);
    await storage.set('b', ENTRY, AT);

    expect(await storage.getMany?.(['a', 'b'])).toEqual([ENTRY, ENTRY]);
  });
});

sqliteHandleSuite('node:sqlite', () => new DatabaseSync(':memory:'));

describe('settings of a handle', () => {
  test('stay as they are, but a busy timeout of none is raised', async () => {
    const { path } = setup();
    const impatient = new DatabaseSync(path);

    await sqliteStorage({ database: impatient, busyTimeout: 70 }).set('k', ENTRY, AT);

    expect(impatient.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 25 });
    expect(impatient.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' });
    expect(impatient.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    impatient.close();
  });
});

describe('keys', () => {
  // As blobs: those without UTF-8, and those that node:sqlite would cut off at a NUL in some releases of Node 22.
  test('that look like SQL are data, and those that are no plain text come back whole', async () => {
    const { open, connect } = setup();
    const storage = open();
    const keys = ["'); DROP TABLE soloflight; --", "' OR '1'='1", '\ud800', '\udfff', '\ufffd', '\0', 'a\0b', ''];

    for (const [index, key] of keys.entries()) await storage.set(key, sampleEntry(AT, { value: index }), AT);
    await storage.delete("' OR '1'='1");

    expect((await storage.getMany?.(keys))?.map((entry) => entry?.value)).toEqual([0, undefined, 2, 3, 4, 5, 6, 7]);
    const stored = connect()
      .prepare('SELECT typeof(key) AS type, count(*) AS rows FROM soloflight GROUP BY 1 ORDER BY 1')
      .all();
    expect(stored).toEqual([
      { type: 'blob', rows: 4 },
      { type: 'text', rows: 3 },
    ]);
  });
});
