import type { SqliteValue } from '../storage/sqlite-database.js';
import { QUEUE_COLUMNS, type QueueRow } from '../storage/sqlite-queue-row.js';
import { fromKey } from '../storage/sqlite-row.js';
import { isMissingTable } from './missing-table.js';
import { assembled, eachChunk, fromSql, longPayload, type LongPayload } from './payload-chunks.js';

type Raw = Record<string, SqlStorageValue>;

/**
 * Writes in the SQLite of an object: a row each, and further rows for the chunks of a value too long for one.
 *
 * The tables are made by the first write, so that `deleteAll` may come at any time.
 */
export class QueueRows {
  readonly #storage: DurableObjectStorage;
  readonly #name: string;

  /** `name` must be a checked identifier. */
  constructor(storage: DurableObjectStorage, name: string) {
    this.#storage = storage;
    this.#name = name;
  }

  /** Whether there is a row that is not a dead letter. */
  get hasPending(): boolean {
    return this.#read('SELECT 1 FROM $ WHERE dead_at IS NULL LIMIT 1').length > 0;
  }

  /** All rows that are dead letters, or all others. A row with missing chunks becomes an error. */
  list(dead: boolean): (QueueRow | Error)[] {
    const rows = this.#read(`SELECT * FROM $ WHERE dead_at IS ${dead ? 'NOT NULL' : 'NULL'} ORDER BY sequence`);
    return rows.map((row) => {
      try {
        return this.#whole(row);
      } catch (error) {
        return error as Error;
      }
    });
  }

  /** Puts all of `rows` or none, with values in the order of {@link QUEUE_COLUMNS}. */
  put(rows: readonly (readonly SqliteValue[])[]): void {
    this.#storage.transactionSync(() => {
      for (const row of rows) this.#put(row);
    });
  }

  remove(ids: readonly SqliteValue[]): void {
    this.#storage.transactionSync(() => {
      for (const id of ids) {
        const [row] = this.#read('DELETE FROM $ WHERE id = ? RETURNING pieces', id);
        if (typeof row?.['pieces'] === 'string') this.#read('DELETE FROM $chunks WHERE id = ?', id);
      }
    });
  }

  #put(row: readonly SqliteValue[]): void {
    const [id] = row;
    const long = longPayload(row.at(-1) ?? null);
    const values =
      long === undefined ? [...row, null, null] : [...row.slice(0, -1), null, long.kind, long.bytes.length];
    this.#write(UPSERT, ...values);
    this.#write('DELETE FROM $chunks WHERE id = ?', id);
    if (long === undefined) return;
    eachChunk(long, (part, bytes) =>
      this.#write('INSERT INTO $chunks (id, part, bytes) VALUES (?, ?, ?)', id, part, bytes),
    );
  }

  #whole(raw: Raw): QueueRow {
    const row = {
      ...raw,
      ...{ id: fromSql(raw['id']), key: fromSql(raw['key']), dead_reason: fromSql(raw['dead_reason']) },
    } as QueueRow;
    const { pieces, size } = raw as { pieces: LongPayload['kind'] | null; size: number | null };
    if (pieces === null) return { ...row, value: fromSql(raw['value']) };
    const chunks = this.#read('SELECT bytes FROM $chunks WHERE id = ? ORDER BY part', raw['id']);
    const bytes = chunks.map((chunk) => new Uint8Array(chunk['bytes'] as ArrayBuffer));
    return { ...row, value: assembled(fromKey(row.key), pieces, size ?? 0, bytes) };
  }

  #read(statement: string, ...values: unknown[]): Raw[] {
    try {
      return this.#exec(statement, values);
    } catch (error) {
      if (isMissingTable(error)) return [];
      throw error;
    }
  }

  #write(statement: string, ...values: unknown[]): void {
    try {
      this.#exec(statement, values);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      for (const table of TABLES) this.#exec(table, []);
      this.#exec(statement, values);
    }
  }

  #exec(statement: string, values: readonly unknown[]): Raw[] {
    const named = statement.replace('$chunks', `"${this.#name}_chunks"`).replace('$', `"${this.#name}"`);
    return this.#storage.sql.exec(named, ...values).toArray();
  }
}

const COLUMNS = Object.keys(QUEUE_COLUMNS);
const ID = 'id';
const OTHERS = [...COLUMNS.filter((column) => column !== ID), 'pieces', 'size'];
const PLACES = [ID, ...OTHERS].map(() => '?').join(', ');
const CHANGES = OTHERS.map((column) => `${column} = excluded.${column}`).join(', ');
const UPSERT = `INSERT INTO $ (${[ID, ...OTHERS].join(', ')}) VALUES (${PLACES}) ON CONFLICT (${ID}) DO UPDATE SET ${CHANGES}`;

const TABLES = [
  `CREATE TABLE IF NOT EXISTS $ (${COLUMNS.map((column) => `${column} ${QUEUE_COLUMNS[column]}`).join(', ')}, pieces TEXT, size INTEGER)`,
  'CREATE TABLE IF NOT EXISTS $chunks (id BLOB NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, part))',
];
