import { checkNames, checkObject } from '../base/checks.js';
import { isThenable } from '../base/promises.js';
import { bucketOf } from '../base/versions.js';
import { chain } from '../codecs/chain.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type {
  Codec,
  KeyPage,
  KeyRange,
  MaybePromise,
  StorageAdapter,
  StorageTier,
  StorageWrite,
  VersionAnswer,
} from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { EntryBound } from './sqlite-bound.js';
import { isInTransaction, nodeSqlite, openDatabase, type SqliteDatabase, type SqliteValue } from './sqlite-database.js';
import { keysIn } from './sqlite-keys.js';
import { SqliteLocks } from './sqlite-locks.js';
import { checkBusyTimeout, checkDatabase, checkPath, checkTable } from './sqlite-options.js';
import { toEntry, toKey, toRow, type Row } from './sqlite-row.js';
import { CLEARS, openTable, type Table } from './sqlite-table.js';

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite-database.js';
export { sqliteQueue, type SqliteQueueOptions } from './sqlite-queue.js';

/** Options of {@link sqliteStorage}. */
export interface SqliteStorageOptions extends TierOptions {
  /** Path of a file (or `':memory:'`), opened with node:sqlite at first use, or an open node:sqlite or better-sqlite3 database. */
  readonly database: SqliteDatabase | string;
  /** Name of the table, made at first use. Letters, digits and underscores. @default 'soloflight' */
  readonly table?: string;
  /** Turns values into text or bytes. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
  /** The most entries kept; the ones outlived soonest go first. An integer ≥ 1. Several processes may exceed it by an eighth each. @default Infinity */
  readonly maxEntries?: number;
  /**
   * How long to wait for another process's lock, in milliseconds, an integer ≥ 0. The first 25 may block this process; after
   * them a call gives a promise and is tried again now and then. @default 1_000
   */
  readonly busyTimeout?: number;
}

/**
 * A storage tier in a SQLite table, which several processes may share.
 *
 * A database given as a path is opened at first use, in WAL mode with `synchronous = NORMAL`: entries survive the end of
 * the process, however it ends; a power cut may take the last entries, never the file. A handle belongs to the caller, is
 * not closed, and keeps its own settings, except that one without a busy timeout gets one of 25 ms. With a longer one
 * (better-sqlite3: 5,000 ms by default, option `timeout`) a lock blocks the process for that long. While a transaction of
 * the caller's is open on the handle, what is stored becomes part of that, and a lock is an error at once.
 *
 * Keys are any strings. Each has a version, kept in a second table, `<table>_versions`: the load of one process never undoes
 * what another one changed meanwhile. Key, value and the rest of an entry may take 1,000,000,000 bytes together; SQLite
 * refuses larger writes. All calls are synchronous, unless the codec is asynchronous or another connection has a lock.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { sqliteStorage } from 'soloflight/sqlite';
 *
 * const storage = sqliteStorage({ database: ':memory:', maxEntries: 100_000 });
 * const posts = new TieredCache<string>({ ttl: '10s', storage, upstream: (id) => `post ${id}` });
 * console.log(await posts.get('1')); // post 1
 * await posts.close();
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 * @throws SoloflightError with code `SOLOFLIGHT_SQLITE_UNAVAILABLE` for a path where there is no node:sqlite.
 */
export function sqliteStorage(options: SqliteStorageOptions): StorageTier {
  return defineStorage(new SqliteStorage(resolveOptions(options)), tierOptionsOf(options));
}

type Settings = Required<Omit<SqliteStorageOptions, keyof TierOptions>>;

const DEFAULTS = Object.freeze({ table: 'soloflight', codec: valueCodec, maxEntries: Infinity, busyTimeout: 1_000 });

const MOST_SWEPT = 1_000_000_000;

function resolveOptions(options: SqliteStorageOptions): Settings {
  checkObject('options', options);
  checkNames(options, ['database', 'table', 'codec', 'maxEntries', 'busyTimeout', ...TIER_OPTIONS]);
  const { database } = options;
  const {
    table = DEFAULTS.table,
    codec = DEFAULTS.codec,
    maxEntries = DEFAULTS.maxEntries,
    busyTimeout = DEFAULTS.busyTimeout,
  } = options;
  checkDatabase(database);
  checkTable(table);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  if (maxEntries !== Infinity && !(Number.isSafeInteger(maxEntries) && maxEntries >= 1))
    throw misuse('maxEntries', 'an integer ≥ 1 or Infinity', maxEntries);
  checkBusyTimeout(busyTimeout);
  // Checked now: at the first read, its absence would only look like a failing tier.
  if (typeof database === 'string') {
    nodeSqlite();
    checkPath(database);
  }
  return { database, table, codec, maxEntries, busyTimeout };
}

/** The answer to a question for a version. All but that is `null` where there is no newer entry. */
interface VersionRow extends Omit<Row, 'format'> {
  readonly version: string;
  readonly format: number | null;
}

interface KeyRow {
  readonly key: string | Uint8Array;
}

class SqliteStorage implements StorageAdapter {
  readonly name = 'sqlite';
  readonly #settings: Settings;
  readonly #locks: SqliteLocks;
  readonly #bound: EntryBound | undefined;
  #opened: SqliteDatabase | undefined;
  #table: Table | undefined;
  #closed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#locks = new SqliteLocks(settings.busyTimeout);
    if (settings.maxEntries !== Infinity) this.#bound = new EntryBound(settings.maxEntries);
  }

  get(key: string): MaybePromise<Entry | undefined> {
    return this.#locks.read(() => this.#get(key));
  }

  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void> {
    return this.setMany([{ key, entry, keepUntil }]);
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): MaybePromise<boolean> {
    return this.#store({ key, entry, keepUntil }, (row) => Number(this.#use().setIfNewer.run(...row).changes) > 0);
  }

  version(key: string, newerThan: number): MaybePromise<VersionAnswer> {
    return this.#locks.read(() => {
      const row = this.#use().version.get(bucketOf(key), toKey(key), newerThan) as VersionRow;
      const { version } = row;
      const entry = row.format === null ? undefined : decodable(() => toEntry(key, row as Row, this.#settings.codec));
      return chain(entry, (newer) => ({ version, entry: newer }));
    });
  }

  setIfVersion(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): MaybePromise<boolean> {
    const bucket = bucketOf(key);
    return this.#store({ key, entry, keepUntil }, (row) => {
      const { atomically, setIfVersion, setIfVersionAndNewer, alter } = this.#use();
      if (!change) return Number(setIfVersionAndNewer.run(...row, bucket, version).changes) > 0;
      return atomically(() => {
        if (Number(setIfVersion.run(...row, bucket, version).changes) === 0) return false;
        alter.run(bucket);
        return true;
      });
    });
  }

  delete(key: string): MaybePromise<boolean> {
    return this.#locks.change(() => this.#remove([key]) > 0);
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  getMany(keys: readonly string[]): MaybePromise<(Entry | undefined)[]> {
    return this.#locks.read(() => {
      const { atomically } = this.#use();
      const entries = atomically(() => keys.map((key) => decodable(() => this.#get(key))));
      return entries.some(isThenable) ? Promise.all(entries) : (entries as (Entry | undefined)[]);
    });
  }

  setMany(writes: readonly StorageWrite[]): MaybePromise<void> {
    if (writes.length === 0) return;
    return chain(this.#toRows(writes), (rows) =>
      this.#locks.change(() => {
        const { atomically, set, alter } = this.#use();
        atomically(() => {
          for (const row of rows) set.run(...row);
          for (const bucket of new Set(writes.map(({ key }) => bucketOf(key)))) alter.run(bucket);
        });
        this.#keepWithinBound(rows.length);
      }),
    );
  }

  deleteMany(keys: readonly string[]): MaybePromise<void> {
    return this.#locks.change(() => void this.#remove(keys));
  }

  keys(range: KeyRange): MaybePromise<KeyPage> {
    return this.#locks.read(() => {
      const { keys } = this.#use();
      return keysIn((start, limit) => (keys.all(start, limit) as KeyRow[]).map(({ key }) => key), range);
    });
  }

  clear(): MaybePromise<void> {
    return this.#locks.change(() => {
      const { atomically, clear, alter } = this.#use();
      atomically(() => {
        clear.run();
        alter.run(CLEARS);
      });
    });
  }

  sweep(now: number, limit: number): MaybePromise<number> {
    const most = Math.min(Math.floor(limit), MOST_SWEPT);
    // SQLite takes a negative limit for none.
    if (!(most >= 1)) return 0;
    return this.#locks.change(() => Number(this.#use().sweep.run(now, most).changes));
  }

  close(): void {
    this.#closed = true;
    this.#table = undefined;
    const opened = this.#opened;
    this.#opened = undefined;
    this.#locks.release();
    if (typeof this.#settings.database === 'string') opened?.close();
  }

  #get(key: string): MaybePromise<Entry | undefined> {
    const row = this.#use().get.get(toKey(key)) as Row | undefined;
    return row === undefined ? undefined : toEntry(key, row, this.#settings.codec);
  }

  /** Removes `keys` and returns how many of them there were. */
  #remove(keys: readonly string[]): number {
    const { atomically, delete: remove, alter } = this.#use();
    return atomically(() => {
      let removed = 0;
      for (const key of keys) removed += Number(remove.run(toKey(key)).changes);
      for (const bucket of new Set(keys.map(bucketOf))) alter.run(bucket);
      return removed;
    });
  }

  /** Stores one entry by `run`, which tells whether it did. */
  #store(write: StorageWrite, run: (row: readonly SqliteValue[]) => boolean): MaybePromise<boolean> {
    return chain(this.#toRow(write), (row) =>
      this.#locks.change(() => {
        const stored = run(row);
        if (stored) this.#keepWithinBound(1);
        return stored;
      }),
    );
  }

  #keepWithinBound(writes: number): void {
    const { count, trim } = this.#use();
    this.#bound?.enforce(writes, count, trim);
  }

  /** Must be called before the table is fetched: the storage may be closed while a codec is at work. */
  #toRow({ key, entry, keepUntil }: StorageWrite): MaybePromise<SqliteValue[]> {
    return toRow(key, entry, keepUntil, this.#settings.codec);
  }

  #toRows(writes: readonly StorageWrite[]): MaybePromise<SqliteValue[][]> {
    const rows: MaybePromise<SqliteValue[]>[] = [];
    try {
      for (const write of writes) rows.push(this.#toRow(write));
    } catch (error) {
      // The other rows have no waiter any more; their rejections must not go unhandled.
      void Promise.allSettled(rows);
      throw error;
    }
    return rows.some(isThenable) ? Promise.all(rows) : (rows as SqliteValue[][]);
  }

  #use(): Table {
    return this.#table ?? this.#open();
  }

  /** Can be repeated as a whole: a failure, such as a locked file, is followed by another try at the next use. */
  #open(): Table {
    if (this.#closed)
      throw new SoloflightError(
        'SOLOFLIGHT_STORAGE_CLOSED',
        'The SQLite storage is closed. Create a new one, or close it later',
      );
    const { database: given, table: name } = this.#settings;
    if (this.#opened === undefined) {
      this.#opened = typeof given === 'string' ? openDatabase(given, this.#locks.block) : given;
      this.#locks.watch(this.#opened);
    }
    const database = this.#opened;
    const table = openTable(database, name);
    // A rollback of the caller's transaction would take the table away again, so it is not remembered yet.
    if (!isInTransaction(database)) this.#table = table;
    return table;
  }
}

/** What `read` gives; `undefined` for what can't be decoded. */
function decodable(read: () => MaybePromise<Entry | undefined>): MaybePromise<Entry | undefined> {
  try {
    const entry = read();
    return isThenable(entry) ? entry.then(undefined, skipUndecodable) : entry;
  } catch (error) {
    return skipUndecodable(error);
  }
}

function skipUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
