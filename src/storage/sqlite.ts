import { checkNames, checkObject } from '../base/checks.js';
import { isThenable } from '../base/promises.js';
import { chain } from '../codecs/chain.js';
import { jsonCodec } from '../codecs/json.js';
import { isCodec } from '../codecs/payload.js';
import type { Codec, MaybePromise, StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { EntryBound } from './sqlite-bound.js';
import {
  atomically,
  ensurePatience,
  isInTransaction,
  nodeSqlite,
  openDatabase,
  type SqliteDatabase,
  type SqliteValue,
} from './sqlite-database.js';
import { checkBusyTimeout, checkDatabase, checkTable } from './sqlite-options.js';
import { toEntry, toKey, toRow, type Row } from './sqlite-row.js';
import { openTable, type Table } from './sqlite-table.js';

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite-database.js';
export { sqliteQueue, type SqliteQueueOptions } from './sqlite-queue.js';

/** Options of {@link sqliteStorage}. */
export interface SqliteStorageOptions extends TierOptions {
  /** Path of a file (or `':memory:'`), opened with node:sqlite at first use, or an open node:sqlite or better-sqlite3 database. */
  readonly database: SqliteDatabase | string;
  /** Name of the table, made at first use. Letters, digits and underscores. @default 'soloflight' */
  readonly table?: string;
  /** Turns values into text or bytes. @default jsonCodec */
  readonly codec?: Codec;
  /** The most entries kept; the ones outlived soonest go first. An integer ≥ 1. Several processes may exceed it by an eighth each. @default Infinity */
  readonly maxEntries?: number;
  /** How long to wait for another process's lock, an integer ≥ 0. The wait blocks this whole process. @default 1_000 */
  readonly busyTimeout?: number;
}

/**
 * A storage tier in a SQLite table, which several processes may share.
 *
 * A database given as a path is opened at first use, in WAL mode with `synchronous = NORMAL`: entries survive the end of
 * the process, however it ends; a power cut may take the last entries, never the file. A handle belongs to the caller, is
 * not closed, and keeps its own settings, except that one without a busy timeout gets this one's. While a transaction of
 * the caller's is open on it, what is stored becomes part of that.
 *
 * Keys are any strings. Key, value and the rest of an entry may take 1,000,000,000 bytes together; SQLite refuses larger
 * writes. All calls are synchronous, unless the codec is asynchronous.
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

const DEFAULTS = Object.freeze({ table: 'soloflight', codec: jsonCodec, maxEntries: Infinity, busyTimeout: 1_000 });

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
  if (typeof database === 'string') nodeSqlite();
  return { database, table, codec, maxEntries, busyTimeout };
}

class SqliteStorage implements StorageAdapter {
  readonly name = 'sqlite';
  readonly #settings: Settings;
  readonly #bound: EntryBound | undefined;
  #opened: SqliteDatabase | undefined;
  #table: Table | undefined;
  #closed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    if (settings.maxEntries !== Infinity) this.#bound = new EntryBound(settings.maxEntries);
  }

  get(key: string): MaybePromise<Entry | undefined> {
    const row = this.#use().get.get(toKey(key)) as Row | undefined;
    return row === undefined ? undefined : toEntry(key, row, this.#settings.codec);
  }

  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      const table = this.#use();
      table.set.run(...row);
      this.#bound?.enforce(1, table.count, table.trim);
    });
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): MaybePromise<boolean> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      const table = this.#use();
      const stored = Number(table.setIfNewer.run(...row).changes) > 0;
      if (stored) this.#bound?.enforce(1, table.count, table.trim);
      return stored;
    });
  }

  delete(key: string): boolean {
    return Number(this.#use().delete.run(toKey(key)).changes) > 0;
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  getMany(keys: readonly string[]): MaybePromise<(Entry | undefined)[]> {
    const { database } = this.#use();
    const entries = atomically(database, () => keys.map((key) => this.#getDecodable(key)));
    return entries.some(isThenable) ? Promise.all(entries) : (entries as (Entry | undefined)[]);
  }

  setMany(writes: readonly StorageWrite[]): MaybePromise<void> {
    if (writes.length === 0) return;
    return chain(this.#toRows(writes), (rows) => {
      const table = this.#use();
      atomically(table.database, () => {
        for (const row of rows) table.set.run(...row);
      });
      this.#bound?.enforce(rows.length, table.count, table.trim);
    });
  }

  deleteMany(keys: readonly string[]): void {
    const table = this.#use();
    atomically(table.database, () => {
      for (const key of keys) table.delete.run(toKey(key));
    });
  }

  clear(): void {
    this.#use().clear.run();
  }

  sweep(now: number, limit: number): number {
    const most = Math.min(Math.floor(limit), MOST_SWEPT);
    // SQLite takes a negative limit for none.
    return most >= 1 ? Number(this.#use().sweep.run(now, most).changes) : 0;
  }

  close(): void {
    this.#closed = true;
    this.#table = undefined;
    const opened = this.#opened;
    this.#opened = undefined;
    if (typeof this.#settings.database === 'string') opened?.close();
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

  #getDecodable(key: string): MaybePromise<Entry | undefined> {
    try {
      const entry = this.get(key);
      return isThenable(entry) ? entry.then(undefined, skipUndecodable) : entry;
    } catch (error) {
      return skipUndecodable(error);
    }
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
    const { database: given, table: name, busyTimeout } = this.#settings;
    if (this.#opened === undefined) {
      if (typeof given !== 'string') ensurePatience(given, busyTimeout);
      this.#opened = typeof given === 'string' ? openDatabase(given, busyTimeout) : given;
    }
    const database = this.#opened;
    const table = openTable(database, name);
    // A rollback of the caller's transaction would take the table away again, so it is not remembered yet.
    if (!isInTransaction(database)) this.#table = table;
    return table;
  }
}

function skipUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
