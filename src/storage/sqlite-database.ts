import { SoloflightError } from '../errors.js';

/** The values that SQLite stores. */
export type SqliteValue = string | number | bigint | Uint8Array | null;

/** The part of a node:sqlite `DatabaseSync`, or of a better-sqlite3 database, that is used here. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): unknown;
}

/** The part of a prepared statement that is used here. Each setting belongs to one of the drivers. */
export interface SqliteStatement {
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
  setReturnArrays?(enabled: boolean): unknown;
  setReadBigInts?(enabled: boolean): unknown;
  safeIntegers?(enabled: boolean): unknown;
}

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => SqliteDatabase;
}

const SWITCHES_TO_WAL = 5;

/**
 * The platform's node:sqlite. Loaded on demand, so that this entry point can be imported where there is none.
 *
 * @throws SoloflightError with code `SOLOFLIGHT_SQLITE_UNAVAILABLE`.
 */
export function nodeSqlite(): NodeSqlite {
  const { process } = globalThis as { process?: { readonly version?: string; getBuiltinModule?(id: string): unknown } };
  const found = process?.getBuiltinModule?.('node:sqlite') as NodeSqlite | undefined;
  if (found !== undefined) return found;
  const here = process?.version === undefined ? 'this platform' : `Node ${process.version}`;
  throw new SoloflightError(
    'SOLOFLIGHT_SQLITE_UNAVAILABLE',
    `A \`database\` given as a path needs node:sqlite, which ${here} lacks. Use Node 22.13 or later, or pass an open better-sqlite3 database`,
  );
}

/** Opens `path` with the settings of a cache: several processes at once, and no loss when one is killed. */
export function openDatabase(path: string, busyTimeout: number): SqliteDatabase {
  const { DatabaseSync } = nodeSqlite();
  const database = new DatabaseSync(path);
  try {
    setBusyTimeout(database, busyTimeout);
    useWal(database);
    database.exec('PRAGMA synchronous = NORMAL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A change of the journal mode does not wait for other connections; the write lock taken between two tries does. */
function useWal(database: SqliteDatabase): void {
  for (let left = SWITCHES_TO_WAL; ; left -= 1) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (left === 0) throw error;
      database.exec('BEGIN IMMEDIATE; COMMIT');
    }
  }
}

/** How long SQLite itself waits for a lock, in milliseconds. */
export function busyTimeoutOf(database: SqliteDatabase): number {
  return (prepare(database, 'PRAGMA busy_timeout').get() as { readonly timeout: number }).timeout;
}

export function setBusyTimeout(database: SqliteDatabase, ms: number): void {
  database.exec(`PRAGMA busy_timeout = ${ms}`);
}

/** Prepares `sql` so that rows are objects and integers are numbers, whatever the handle's defaults. */
export function prepare(database: SqliteDatabase, sql: string): SqliteStatement {
  const statement = database.prepare(sql);
  statement.setReturnArrays?.(false);
  statement.setReadBigInts?.(false);
  statement.safeIntegers?.(false);
  return statement;
}

/** Runs work in one transaction, or in a savepoint of the transaction that the handle's user has open. */
export type Atomically = <T>(run: () => T) => T;

/** Makes the {@link Atomically} of `database`. A savepoint outside of transactions is one. */
export function atomicallyIn(database: SqliteDatabase): Atomically {
  const begin = prepare(database, 'SAVEPOINT soloflight');
  const commit = prepare(database, 'RELEASE soloflight');
  return (run) => {
    begin.run();
    try {
      const result = run();
      commit.run();
      return result;
    } catch (error) {
      try {
        database.exec('ROLLBACK TO soloflight; RELEASE soloflight');
      } catch {
        // Grave errors, such as a full disk, make SQLite roll back by itself.
      }
      throw error;
    }
  };
}

/** Whether the user of the handle has a transaction open. A plain BEGIN takes no lock, so it fails in one, or on a closed handle. */
export function isInTransaction(database: SqliteDatabase): boolean {
  try {
    database.exec('BEGIN');
  } catch {
    return true;
  }
  database.exec('COMMIT');
  return false;
}
