import type { Codec } from '../contracts.js';
import type { Entry } from '../entry.js';
import { misuse, UndecodableError } from '../errors.js';
import type { SqliteValue } from './sqlite-database.js';

/** Version of the format of a row. Rows of another version are neither read nor removed, only replaced or swept. */
const FORMAT = 1;

/** Columns of a row in the order of {@link toRow}; the value last, so that reading the others does not pass through it. */
export const COLUMNS = [
  'key',
  'format',
  'started_at',
  'created_at',
  'fresh_until',
  'stale_until',
  'error_until',
  'keep_until',
  'load_ms',
  'tags',
  'meta',
  'codec',
  'value',
] as const;

/**
 * The types of {@link COLUMNS}. `BLOB` leaves what is stored as it is, text as text: a key that looks like a number
 * stays a string. `REAL` takes fractions and `Infinity`, and never comes back as a bigint.
 */
export const COLUMN_TYPES: Readonly<Record<(typeof COLUMNS)[number], string>> = {
  key: 'BLOB NOT NULL PRIMARY KEY',
  format: 'INTEGER NOT NULL',
  started_at: 'REAL NOT NULL',
  created_at: 'REAL NOT NULL',
  fresh_until: 'REAL NOT NULL',
  stale_until: 'REAL NOT NULL',
  error_until: 'REAL NOT NULL',
  keep_until: 'REAL NOT NULL',
  load_ms: 'REAL NOT NULL',
  tags: 'TEXT',
  meta: 'TEXT',
  codec: 'TEXT',
  value: 'BLOB',
};

/** A row as it is read. */
export interface Row {
  readonly format: number;
  readonly started_at: number;
  readonly created_at: number;
  readonly fresh_until: number;
  readonly stale_until: number;
  readonly error_until: number;
  readonly load_ms: number;
  /** JSON, or `null` for none. */
  readonly tags: string | null;
  /** JSON, or `null` for `undefined`. */
  readonly meta: string | null;
  /** Name of the codec, or `null` for an absent entry, which has nothing to decode. */
  readonly codec: string | null;
  readonly value: string | Uint8Array | null;
}

/**
 * `key` as SQLite can tell it from all others.
 *
 * Strings with lone surrogates have no UTF-8 and would all become U+FFFD. They are stored as a blob of their UTF-16
 * code units: no blob equals a text.
 */
export function toKey(key: string): SqliteValue {
  if (isWellFormed(key)) return key;
  const units = new DataView(new ArrayBuffer(key.length * 2));
  for (let index = 0; index < key.length; index += 1) units.setUint16(index * 2, key.charCodeAt(index));
  return new Uint8Array(units.buffer);
}

/** The values of a row, in the order of {@link COLUMNS}. */
export function toRow(key: string, entry: Entry, keepUntil: number, codec: Codec): SqliteValue[] {
  const absent = entry.value === undefined;
  return [
    toKey(key),
    FORMAT,
    entry.startedAt,
    entry.createdAt,
    entry.freshUntil,
    entry.staleUntil,
    entry.errorUntil,
    keepUntil,
    entry.loadMs,
    entry.tags.length === 0 ? null : JSON.stringify(entry.tags),
    entry.meta === undefined ? null : toMeta(entry.meta),
    absent ? null : codec.name,
    absent ? null : toPayload(entry.value, codec),
  ];
}

/** @throws {@link UndecodableError} */
export function toEntry(key: string, row: Row, codec: Codec): Entry {
  if (row.format !== FORMAT)
    throw new UndecodableError(key, `it has format version ${row.format}, and only ${FORMAT} is known here`);
  return {
    value: row.codec === null ? undefined : fromPayload(key, row.codec, row.value, codec),
    startedAt: row.started_at,
    createdAt: row.created_at,
    freshUntil: row.fresh_until,
    staleUntil: row.stale_until,
    errorUntil: row.error_until,
    loadMs: row.load_ms,
    tags: row.tags === null ? [] : (fromJson(key, 'tags', row.tags) as string[]),
    meta: row.meta === null ? undefined : fromJson(key, 'meta', row.meta),
  };
}

function toPayload(value: unknown, codec: Codec): string | Uint8Array {
  const payload: unknown = codec.encode(value);
  if (payload instanceof Uint8Array) return payload;
  if (typeof payload !== 'string') throw misuse(`result of ${codec.name}.encode`, 'a string or a Uint8Array', payload);
  if (!isWellFormed(payload))
    throw misuse(`result of ${codec.name}.encode`, 'text without lone surrogates, or a Uint8Array', payload);
  return payload;
}

function fromPayload(key: string, writtenBy: string, payload: string | Uint8Array | null, codec: Codec): unknown {
  if (writtenBy !== codec.name)
    throw new UndecodableError(key, `it was written with the codec '${writtenBy}', and this one is '${codec.name}'`);
  if (payload === null) throw new UndecodableError(key, 'it has a codec and no payload');
  let value: unknown;
  try {
    value = codec.decode(typeof payload === 'string' ? payload : toPlainBytes(payload));
  } catch (cause) {
    throw new UndecodableError(key, `the codec '${codec.name}' failed on it`, cause);
  }
  if (value === undefined) throw new UndecodableError(key, `the codec '${codec.name}' made nothing of it`);
  return value;
}

function toMeta(meta: unknown): string {
  const text = JSON.stringify(meta) as string | undefined;
  if (text === undefined) throw misuse('meta', 'JSON data', meta);
  return text;
}

function fromJson(key: string, part: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UndecodableError(key, `its ${part} are not JSON`, cause);
  }
}

/** better-sqlite3 gives Buffers, which differ from what a codec put in. */
function toPlainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** In every supported runtime, but not yet in the library that TypeScript is told to assume. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
