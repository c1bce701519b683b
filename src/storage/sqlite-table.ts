import { prepare, type SqliteDatabase, type SqliteStatement } from './sqlite-database.js';
import { COLUMN_TYPES, COLUMNS } from './sqlite-row.js';

/** A table in an open database, and the statements for it. All of them take entries as bound parameters. */
export interface Table {
  readonly database: SqliteDatabase;
  readonly get: SqliteStatement;
  readonly set: SqliteStatement;
  readonly setIfNewer: SqliteStatement;
  readonly delete: SqliteStatement;
  readonly clear: SqliteStatement;
  readonly sweep: SqliteStatement;
  readonly count: SqliteStatement;
  readonly trim: SqliteStatement;
}

/** Creates the table if it is missing, and prepares the statements. `name` must be a checked identifier. */
export function openTable(database: SqliteDatabase, name: string): Table {
  const table = `"${name}"`;
  const columns = COLUMNS.map((column) => `${column} ${COLUMN_TYPES[column]}`).join(', ');
  // Each is one statement outside a transaction, so that SQLite itself settles races with other processes.
  database.exec(`CREATE TABLE IF NOT EXISTS ${table} (${columns})`);
  database.exec(`CREATE INDEX IF NOT EXISTS "${name}_keep_until" ON ${table} (keep_until)`);

  const [key, ...others] = COLUMNS;
  const places = COLUMNS.map(() => '?').join(', ');
  const changes = others.map((column) => `${column} = excluded.${column}`).join(', ');
  const upsert = `INSERT INTO ${table} (${COLUMNS.join(', ')}) VALUES (${places}) ON CONFLICT (${key}) DO UPDATE SET ${changes}`;
  const outlived = `SELECT rowid FROM ${table} WHERE keep_until <= ? ORDER BY keep_until LIMIT ?`;
  const outlivedSoonest = `SELECT rowid FROM ${table} ORDER BY keep_until LIMIT ?`;
  return {
    database,
    get: prepare(database, `SELECT ${others.join(', ')} FROM ${table} WHERE ${key} = ?`),
    set: prepare(database, upsert),
    setIfNewer: prepare(database, `${upsert} WHERE excluded.started_at >= ${table}.started_at`),
    delete: prepare(database, `DELETE FROM ${table} WHERE ${key} = ?`),
    clear: prepare(database, `DELETE FROM ${table}`),
    sweep: prepare(database, `DELETE FROM ${table} WHERE rowid IN (${outlived})`),
    count: prepare(database, `SELECT count(*) AS rows FROM ${table}`),
    trim: prepare(database, `DELETE FROM ${table} WHERE rowid IN (${outlivedSoonest})`),
  };
}
