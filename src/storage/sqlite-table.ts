import {
  atomicallyIn,
  prepare,
  type Atomically,
  type SqliteDatabase,
  type SqliteStatement,
} from './sqlite-database.js';
import { keysFrom } from './sqlite-keys.js';
import { COLUMN_TYPES, COLUMNS } from './sqlite-row.js';

/** A table in an open database, and the statements for it. All of them take entries as bound parameters. */
export interface Table {
  readonly atomically: Atomically;
  readonly get: SqliteStatement;
  readonly set: SqliteStatement;
  readonly setIfNewer: SqliteStatement;
  /** `set` if the version is the one given: a row, a bucket, a version. */
  readonly setIfVersion: SqliteStatement;
  /** `setIfNewer` if the version is the one given: a row, a bucket, a version. */
  readonly setIfVersionAndNewer: SqliteStatement;
  /** The version of a key in a bucket, with its entry if that is newer: a bucket, a key, an instant. */
  readonly version: SqliteStatement;
  /** Alters the version of all keys in a bucket, or of all keys there are: {@link CLEARS}. */
  readonly alter: SqliteStatement;
  readonly delete: SqliteStatement;
  readonly clear: SqliteStatement;
  readonly sweep: SqliteStatement;
  readonly count: SqliteStatement;
  readonly trim: SqliteStatement;
  /** See {@link keysFrom}. */
  readonly keys: SqliteStatement;
}

/** Stands for all buckets at once. */
export const CLEARS = -1;

/** Leaves room for more than 2^51 calls of `clear` among the integers that a driver reads as numbers. */
const LARGEST_START = 2 ** 52 - 1;

/** Creates the tables if they are missing, and prepares the statements. `name` must be a checked identifier. */
export function openTable(database: SqliteDatabase, name: string): Table {
  const table = `"${name}"`;
  const columns = COLUMNS.map((column) => `${column} ${COLUMN_TYPES[column]}`).join(', ');
  // Each is one statement outside a transaction, so that SQLite itself settles races with other processes.
  database.exec(`CREATE TABLE IF NOT EXISTS ${table} (${columns})`);
  database.exec(`CREATE INDEX IF NOT EXISTS "${name}_keep_until" ON ${table} (keep_until)`);
  const versions = openVersions(database, name);

  const [key, ...others] = COLUMNS;
  const places = COLUMNS.map(() => '?').join(', ');
  const changes = others.map((column) => `${column} = excluded.${column}`).join(', ');
  const insert = `INSERT INTO ${table} (${COLUMNS.join(', ')})`;
  const update = `ON CONFLICT (${key}) DO UPDATE SET ${changes}`;
  const upsert = `${insert} VALUES (${places}) ${update}`;
  const upsertIfVersion = `${insert} SELECT ${places} WHERE ${versions.version} = ? ${update}`;
  const ifNewer = `WHERE excluded.started_at >= ${table}.started_at`;
  const outlived = `SELECT rowid FROM ${table} WHERE keep_until <= ? ORDER BY keep_until LIMIT ?`;
  const outlivedSoonest = `SELECT rowid FROM ${table} ORDER BY keep_until LIMIT ?`;
  return {
    atomically: atomicallyIn(database),
    get: prepare(database, `SELECT ${others.join(', ')} FROM ${table} WHERE ${key} = ?`),
    set: prepare(database, upsert),
    setIfNewer: prepare(database, `${upsert} ${ifNewer}`),
    setIfVersion: prepare(database, upsertIfVersion),
    setIfVersionAndNewer: prepare(database, `${upsertIfVersion} ${ifNewer}`),
    version: prepare(
      database,
      `SELECT ${versions.version} AS version, ${others.join(', ')} FROM (SELECT 1) LEFT JOIN ${table} ON ${key} = ? AND started_at > ?`,
    ),
    alter: prepare(database, versions.alter),
    delete: prepare(database, `DELETE FROM ${table} WHERE ${key} = ?`),
    clear: prepare(database, `DELETE FROM ${table}`),
    sweep: prepare(database, `DELETE FROM ${table} WHERE rowid IN (${outlived})`),
    count: prepare(database, `SELECT count(*) AS rows FROM ${table}`),
    trim: prepare(database, `DELETE FROM ${table} WHERE rowid IN (${outlivedSoonest})`),
    keys: prepare(database, keysFrom(table)),
  };
}

/** Creates the table of counters if it is missing. Returns SQL: the version of the keys in a bucket, and what alters it. */
function openVersions(database: SqliteDatabase, name: string): { readonly version: string; readonly alter: string } {
  const versions = `"${name}_versions"`;
  database.exec(`CREATE TABLE IF NOT EXISTS ${versions} (bucket INTEGER PRIMARY KEY, count INTEGER NOT NULL)`);
  const countOf = (bucket: string): string => `coalesce((SELECT count FROM ${versions} WHERE bucket = ${bucket}), 0)`;
  // By chance, so that the versions of a table that was dropped never come back. Looked for first: a write waits for locks.
  const clears = prepare(database, `SELECT count FROM ${versions} WHERE bucket = ${CLEARS}`);
  if (clears.get() === undefined)
    database.exec(`INSERT OR IGNORE INTO ${versions} VALUES (${CLEARS}, random() & ${LARGEST_START})`);
  return {
    version: `(${countOf(`${CLEARS}`)} || '.' || ${countOf('?')})`,
    alter: `INSERT INTO ${versions} VALUES (?, 1) ON CONFLICT (bucket) DO UPDATE SET count = count + 1`,
  };
}
