import type { KeyPage, KeyRange } from '../contracts.js';
import type { SqliteValue } from '../storage/sqlite-database.js';
import { keysFrom, keysIn } from '../storage/sqlite-keys.js';
import { COLUMN_TYPES, COLUMNS, toKey, type Row } from '../storage/sqlite-row.js';
import type { DurableLeases } from './durable-leases.js';
import { DurableVersions } from './durable-versions.js';
import { isMissingTable } from './missing-table.js';
import { assembled, eachChunk, fromSql, longPayload, type LongPayload } from './payload-chunks.js';

const MOST_SWEPT = 1_000_000_000;

/** A row as read from the table. `pieces` is the kind of a payload stored in the table of chunks, `size` its bytes. */
interface StoredRow extends Row {
  readonly pieces: LongPayload['kind'] | null;
  readonly size: number | null;
}

type Statement =
  | 'get'
  | 'startedAt'
  | 'set'
  | 'setIfNewer'
  | 'delete'
  | 'clear'
  | 'sweep'
  | 'first'
  | 'keys'
  | ChunkStatement;
type ChunkStatement = 'chunks' | 'addChunk' | 'dropChunks' | 'clearChunks';

/**
 * Entries in the SQLite of an object: a row each, and further rows for the chunks of a payload too long for one.
 *
 * The tables are made by the first write. Without them, reads find an empty storage: an object that stores nothing costs
 * nothing, and `deleteAll` may come at any time.
 */
export class DurableRows {
  readonly #storage: DurableObjectStorage;
  readonly #name: string;
  readonly #statements: Readonly<Record<Statement, string>>;
  readonly #leases: DurableLeases | undefined;
  readonly #versions: DurableVersions;

  /** `name` must be a checked identifier. Writing or deleting a key ends the lease on it. */
  constructor(storage: DurableObjectStorage, name: string, leases?: DurableLeases) {
    this.#leases = leases;
    this.#storage = storage;
    this.#name = name;
    this.#statements = statementsFor(name);
    this.#versions = new DurableVersions(storage, name);
  }

  read(key: string): Row | undefined {
    const [row] = this.#read('get', toKey(key)) as unknown as (StoredRow | undefined)[];
    if (row === undefined) return undefined;
    if (row.pieces === null) return { ...row, value: fromSql(row.value as SqlStorageValue) };
    return { ...row, value: this.#assemble(key, row.pieces, row.size ?? 0) };
  }

  /** Writes `row`, values in the order of {@link COLUMNS}; tells whether it did. */
  write(row: readonly SqliteValue[], onlyIfNewer: boolean): boolean {
    const [key] = row;
    if (!onlyIfNewer) this.#leases?.void(key);
    const payload = longPayload(row.at(-1) ?? null);
    const statement = onlyIfNewer ? 'setIfNewer' : 'set';
    if (payload === undefined) {
      const stored = this.#write(statement, ...row, null, null).length > 0;
      if (stored) this.#write('dropChunks', key);
      return stored;
    }
    return this.#storage.transactionSync(() => {
      const inline = [...row.slice(0, -1), null, payload.kind, payload.bytes.length];
      if (this.#write(statement, ...inline).length === 0) return false;
      this.#write('dropChunks', key);
      eachChunk(payload, (part, bytes) => void this.#write('addChunk', key, part, bytes));
      return true;
    });
  }

  version(key: string): string {
    return this.#versions.of(key);
  }

  /** Alters the versions of `keys`. Must be called before they are changed. */
  alter(keys: readonly string[]): void {
    this.#versions.alter(keys);
  }

  startedAt(key: string): number | undefined {
    return this.#read('startedAt', toKey(key))[0]?.['started_at'] as number | undefined;
  }

  delete(key: string): boolean {
    this.#leases?.void(toKey(key));
    const [row] = this.#read('delete', toKey(key));
    if (row !== undefined && row['pieces'] !== null) this.#read('dropChunks', toKey(key));
    return row !== undefined;
  }

  clear(): void {
    this.#versions.alterAll();
    this.#leases?.voidAll();
    this.#read('clear');
    this.#read('clearChunks');
  }

  sweep(now: number, limit: number): number {
    const most = Math.min(Math.floor(limit), MOST_SWEPT);
    // SQLite takes a negative limit for none.
    if (!(most >= 1)) return 0;
    const swept = this.#read('sweep', now, most);
    for (const { key, pieces } of swept) if (pieces !== null) this.#read('dropChunks', key);
    return swept.length;
  }

  keys(range: KeyRange): KeyPage {
    return keysIn((start, limit) => this.#read('keys', start, limit).map(({ key }) => storedKey(key)), range);
  }

  firstOutlived(): number | undefined {
    return this.#read('first')[0]?.['keep_until'] as number | undefined;
  }

  atomically<T>(run: () => T): T {
    return this.#storage.transactionSync(run);
  }

  #assemble(key: string, kind: LongPayload['kind'], size: number): string | Uint8Array {
    const chunks = this.#read('chunks', toKey(key)).map(({ bytes }) => new Uint8Array(bytes as ArrayBuffer));
    return assembled(key, kind, size, chunks);
  }

  #read(statement: Statement, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    try {
      return this.#storage.sql.exec(this.#statements[statement], ...values).toArray();
    } catch (error) {
      if (isMissingTable(error)) return [];
      throw error;
    }
  }

  #write(statement: Statement, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    const { sql } = this.#storage;
    try {
      return sql.exec(this.#statements[statement], ...values).toArray();
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      for (const query of tablesFor(this.#name)) sql.exec(query);
      return sql.exec(this.#statements[statement], ...values).toArray();
    }
  }
}

/** Without row ids, a table needs no index for its key. Those of 0.1.0 have both; all statements fit them, too. */
function tablesFor(name: string): string[] {
  const columns = COLUMNS.map((column) => `${column} ${COLUMN_TYPES[column]}`).join(', ');
  return [
    `CREATE TABLE IF NOT EXISTS "${name}" (${columns}, pieces TEXT, size INTEGER) WITHOUT ROWID`,
    `CREATE INDEX IF NOT EXISTS "${name}_keep_until" ON "${name}" (keep_until)`,
    `CREATE TABLE IF NOT EXISTS "${name}_chunks" (key BLOB NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (key, part))`,
  ];
}

function statementsFor(name: string): Record<Statement, string> {
  const table = `"${name}"`;
  const chunks = `"${name}_chunks"`;
  const [key, ...others] = [...COLUMNS, 'pieces', 'size'] as const;
  const places = [key, ...others].map(() => '?').join(', ');
  const changes = others.map((column) => `${column} = excluded.${column}`).join(', ');
  const upsert = `INSERT INTO ${table} (${[key, ...others].join(', ')}) VALUES (${places}) ON CONFLICT (${key}) DO UPDATE SET ${changes}`;
  const outlived = `SELECT ${key} FROM ${table} WHERE keep_until <= ? ORDER BY keep_until LIMIT ?`;
  return {
    get: `SELECT ${others.join(', ')} FROM ${table} WHERE ${key} = ?`,
    startedAt: `SELECT started_at FROM ${table} WHERE ${key} = ?`,
    set: `${upsert} RETURNING 1 AS stored`,
    setIfNewer: `${upsert} WHERE excluded.started_at >= ${table}.started_at RETURNING 1 AS stored`,
    delete: `DELETE FROM ${table} WHERE ${key} = ? RETURNING pieces`,
    clear: `DELETE FROM ${table}`,
    sweep: `DELETE FROM ${table} WHERE ${key} IN (${outlived}) RETURNING ${key}, pieces`,
    first: `SELECT keep_until FROM ${table} ORDER BY keep_until LIMIT 1`,
    keys: keysFrom(table),
    chunks: `SELECT bytes FROM ${chunks} WHERE key = ? ORDER BY part`,
    addChunk: `INSERT INTO ${chunks} (key, part, bytes) VALUES (?, ?, ?)`,
    dropChunks: `DELETE FROM ${chunks} WHERE key = ?`,
    clearChunks: `DELETE FROM ${chunks}`,
  };
}

function storedKey(key: SqlStorageValue | undefined): string | Uint8Array {
  return typeof key === 'string' ? key : new Uint8Array(key as ArrayBuffer);
}
