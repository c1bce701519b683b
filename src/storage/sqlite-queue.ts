import { checkNames, checkObject } from '../base/checks.js';
import { nextTurn, systemClock } from '../base/clock.js';
import { queueOwned } from '../base/owned.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, Ownership, QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import {
  atomicallyIn,
  isInTransaction,
  nodeSqlite,
  openDatabase,
  prepare,
  type Atomically,
  type SqliteDatabase,
  type SqliteStatement,
} from './sqlite-database.js';
import { SqliteLocks } from './sqlite-locks.js';
import { checkBusyTimeout, checkDatabase, checkPath, checkTable } from './sqlite-options.js';
import { SqliteQueueOwner } from './sqlite-queue-owner.js';
import { fromQueueRow, QUEUE_COLUMNS, toQueueRow, type QueueRow } from './sqlite-queue-row.js';
import { toKey } from './sqlite-row.js';

/** Options of {@link sqliteQueue}. */
export interface SqliteQueueOptions {
  /** Path of a file, opened with node:sqlite at first use, or an open node:sqlite or better-sqlite3 database. */
  readonly database: SqliteDatabase | string;
  /** Name of the table, made at first use. Letters, digits and underscores. @default 'soloflight_writes' */
  readonly table?: string;
  /** Turns values into text or bytes. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
  /** How long to wait for another process's lock, in milliseconds, an integer ≥ 0. The first 25 may block this process. @default 1_000 */
  readonly busyTimeout?: number;
}

/**
 * A queue for a `WriteBehind` in a SQLite table.
 *
 * A database given as a path is opened in WAL mode with `synchronous = FULL`: an accepted write survives the end of the
 * process and a power cut. A handle belongs to the caller, is not closed, and keeps its own settings, except that one
 * without a busy timeout gets this one's. With `synchronous` at NORMAL, a power cut may take its last writes. The writes
 * of one turn of the event loop are one transaction, never a part of one of the caller's: the queue waits up to
 * `busyTimeout` for those to end.
 *
 * One `WriteBehind` at a time owns it, among all processes that use the file: a second one waits (`ownerWait`) until the first
 * is closed, or has not said for ten seconds that it lives, by the wall clock.
 *
 * @throws TypeError for an option that makes no sense.
 * @throws SoloflightError with code `SOLOFLIGHT_SQLITE_UNAVAILABLE` for a path where there is no node:sqlite.
 */
export function sqliteQueue(options: SqliteQueueOptions): WriteQueue {
  return new SqliteQueue(resolveOptions(options));
}

const DEFAULTS = Object.freeze({ table: 'soloflight_writes', codec: valueCodec, busyTimeout: 1_000 });
const TRANSACTION_POLL = 2;

function resolveOptions(options: SqliteQueueOptions): Required<SqliteQueueOptions> {
  checkObject('options', options);
  checkNames(options, ['database', 'table', 'codec', 'busyTimeout']);
  const { database } = options;
  const { table = DEFAULTS.table, codec = DEFAULTS.codec, busyTimeout = DEFAULTS.busyTimeout } = options;
  checkDatabase(database);
  checkTable(table);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  checkBusyTimeout(busyTimeout);
  if (typeof database === 'string') {
    nodeSqlite();
    checkPath(database);
  }
  return { database, table, codec, busyTimeout };
}

/** The table with the statements for it. */
interface QueueTable {
  readonly atomically: Atomically;
  readonly put: SqliteStatement;
  readonly remove: SqliteStatement;
  readonly load: SqliteStatement;
  readonly listDead: SqliteStatement;
  readonly owner: SqliteQueueOwner;
}

class SqliteQueue implements WriteQueue {
  readonly name = 'sqlite';
  readonly #settings: Required<SqliteQueueOptions>;
  readonly #locks: SqliteLocks;
  #opened: SqliteDatabase | undefined;
  #table: QueueTable | undefined;
  #closed = false;

  constructor(settings: Required<SqliteQueueOptions>) {
    this.#settings = settings;
    this.#locks = new SqliteLocks(settings.busyTimeout);
  }

  async load(): Promise<(QueuedWrite | Error)[]> {
    return this.#read(await this.#use(({ load }) => load.all()));
  }

  async listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#read(await this.#use(({ listDead }) => listDead.all()));
  }

  put(writes: readonly QueuedWrite[]): Promise<void> {
    return this.#put(writes);
  }

  remove(ids: readonly string[]): Promise<void> {
    return this.#remove(ids);
  }

  async own(owner: string, ms: number, takeOver: boolean): Promise<Ownership | undefined> {
    if (!(await this.#use((table) => table.owner.take(owner, ms, takeOver)))) return undefined;
    return {
      put: (writes) => this.#put(writes, owner),
      remove: (ids) => this.#remove(ids, owner),
      renew: (more) => this.#use((table) => table.owner.renew(owner, more)),
      release: () => this.#use((table) => table.owner.release(owner)),
    };
  }

  async #put(writes: readonly QueuedWrite[], owner?: string): Promise<void> {
    const rows = await Promise.all(writes.map(async (write) => toQueueRow(write, this.#settings.codec)));
    await this.#change(owner, ({ put }) => {
      for (const row of rows) put.run(...row);
    });
  }

  #remove(ids: readonly string[], owner?: string): Promise<void> {
    return this.#change(owner, ({ remove }) => {
      for (const id of ids) remove.run(toKey(id));
    });
  }

  /** Runs `change` in one transaction, as long as `owner`, if one is given, is the owner. */
  async #change(as: string | undefined, change: (table: QueueTable) => void): Promise<void> {
    await this.#use((table) =>
      table.atomically(() => {
        if (as !== undefined && !table.owner.holds(as)) throw queueOwned(this.name);
        change(table);
      }),
    );
  }

  close(): void {
    this.#closed = true;
    this.#table = undefined;
    const opened = this.#opened;
    this.#opened = undefined;
    this.#locks.release();
    if (typeof this.#settings.database === 'string') opened?.close();
  }

  #read(rows: readonly unknown[]): Promise<(QueuedWrite | Error)[]> {
    return Promise.all(rows.map((row) => fromQueueRow(row as QueueRow, this.#settings.codec)));
  }

  /** Runs `work` at the end of this turn, once no transaction is open on the handle and no other connection has a lock. */
  async #use<T>(work: (table: QueueTable) => T): Promise<T> {
    await nextTurn();
    if (typeof this.#settings.database !== 'string') await this.#transactionOver(this.#settings.database);
    return this.#locks.change(() => {
      if (this.#closed)
        throw new SoloflightError(
          'SOLOFLIGHT_QUEUE_CLOSED',
          'The SQLite queue is closed. Create a new one, or close it later',
        );
      return work((this.#table ??= this.#open()));
    });
  }

  /** Waits for the caller's transaction to end: a rollback would take along what became part of it. */
  async #transactionOver(database: SqliteDatabase): Promise<void> {
    const { busyTimeout } = this.#settings;
    const end = systemClock.monotonic() + busyTimeout;
    while (isInTransaction(database)) {
      if (systemClock.monotonic() >= end)
        throw new SoloflightError(
          'SOLOFLIGHT_SQLITE_IN_TRANSACTION',
          `A transaction on the handle given as \`database\` did not end within \`busyTimeout\` (${busyTimeout} ms). End it sooner, or give the queue a handle of its own`,
        );
      await new Promise<void>((resolve) => systemClock.after(TRANSACTION_POLL, resolve));
    }
  }

  #open(): QueueTable {
    const { database: given, table: name } = this.#settings;
    if (this.#opened === undefined) {
      this.#opened = typeof given === 'string' ? openDurable(given, this.#locks.block) : given;
      this.#locks.watch(this.#opened);
    }
    const database = this.#opened;
    const table = `"${name}"`;
    const columns = Object.entries(QUEUE_COLUMNS).map(([column, type]) => `${column} ${type}`);
    database.exec(`CREATE TABLE IF NOT EXISTS ${table} (${columns.join(', ')})`);
    const [id, ...others] = Object.keys(QUEUE_COLUMNS) as [string, ...string[]];
    const places = [id, ...others].map(() => '?').join(', ');
    const changes = others.map((column) => `${column} = excluded.${column}`).join(', ');
    const insert = `INSERT INTO ${table} (${[id, ...others].join(', ')}) VALUES (${places})`;
    const read = (which: string): SqliteStatement =>
      prepare(database, `SELECT * FROM ${table} WHERE ${which} ORDER BY sequence`);
    return {
      atomically: atomicallyIn(database),
      put: prepare(database, `${insert} ON CONFLICT (${id}) DO UPDATE SET ${changes}`),
      remove: prepare(database, `DELETE FROM ${table} WHERE ${id} = ?`),
      load: read('dead_at IS NULL'),
      listDead: read('dead_at IS NOT NULL'),
      owner: new SqliteQueueOwner(database, name),
    };
  }
}

/** With NORMAL, a power cut could take the writes accepted last. */
function openDurable(path: string, busyTimeout: number): SqliteDatabase {
  const database = openDatabase(path, busyTimeout);
  database.exec('PRAGMA synchronous = FULL');
  return database;
}
