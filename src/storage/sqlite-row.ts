import { chain } from '../codecs/chain.js';
import { fromPayload, isWellFormed, toMeta, toPayload, type Payload } from '../codecs/payload.js';
import type { Codec, MaybePromise } from '../contracts.js';
import type { Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';
import type { SqliteValue } from './sqlite-database.js';

/** Version of the format of a row. Rows of another version are neither read nor removed, only replaced or swept. */
const FORMAT = 1;

/** Columns of a row in the order of {@link toRow}. The value is last, so that reading the others does not pass through it. */
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
 * The types of {@link COLUMNS}. `BLOB` affinity stores everything unchanged, text as text: a key that looks like a number
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

/** A row as read from the table. */
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
 * `key` in a form that SQLite can tell from all other keys.
 *
 * Strings with lone surrogates have no UTF-8 form and would all become U+FFFD, and the node:sqlite of early Node 22 reads a
 * text only up to a NUL. Such keys are stored as a blob of their UTF-16 code units: no blob equals a text.
 */
export function toKey(key: string): SqliteValue {
  return isWellFormed(key) && !key.includes('\0') ? key : toBlob(key);
}

/** The UTF-16 code units of `key`. */
export function toBlob(key: string): Uint8Array {
  const units = new DataView(new ArrayBuffer(key.length * 2));
  for (let index = 0; index < key.length; index += 1) units.setUint16(index * 2, key.charCodeAt(index));
  return new Uint8Array(units.buffer);
}

/** The string that {@link toKey} turned into `stored`. */
export function fromKey(stored: string | Uint8Array): string {
  if (typeof stored === 'string') return stored;
  const units = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  let key = '';
  for (let at = 0; at < units.byteLength; at += 2) key += String.fromCharCode(units.getUint16(at));
  return key;
}

/** The values of a row, in the order of {@link COLUMNS}. @throws `UnencodableError`, at once or as a rejection. */
export function toRow(key: string, entry: Entry, keepUntil: number, codec: Codec): MaybePromise<SqliteValue[]> {
  const rowWith = (payload: Payload | null): SqliteValue[] => [
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
    entry.meta === undefined ? null : toMeta(key, entry.meta),
    payload === null ? null : codec.name,
    payload,
  ];
  return entry.value === undefined ? rowWith(null) : chain(toPayload(key, entry.value, codec), rowWith);
}

/** @throws {@link UndecodableError}, at once or as a rejection. */
export function toEntry(key: string, row: Row, codec: Codec): MaybePromise<Entry> {
  if (row.format !== FORMAT)
    throw new UndecodableError(key, `it has format version ${row.format}, and only ${FORMAT} is known here`);
  const entryWith = (value: unknown): Entry => ({
    value,
    startedAt: row.started_at,
    createdAt: row.created_at,
    freshUntil: row.fresh_until,
    staleUntil: row.stale_until,
    errorUntil: row.error_until,
    loadMs: row.load_ms,
    tags: row.tags === null ? [] : (fromJson(key, 'tags', row.tags) as string[]),
    meta: row.meta === null ? undefined : fromJson(key, 'meta', row.meta),
  });
  if (row.codec === null) return entryWith(undefined);
  if (row.value === null) throw new UndecodableError(key, 'it has a codec and no payload');
  return chain(fromPayload(key, row.codec, row.value, codec), entryWith);
}

function fromJson(key: string, part: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UndecodableError(key, `its ${part} can't be parsed as JSON`, cause);
  }
}
