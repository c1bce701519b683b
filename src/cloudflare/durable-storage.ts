import { chain } from '../codecs/chain.js';
import { isCodec } from '../codecs/payload.js';
import { structuredCloneCodec } from '../codecs/structured-clone.js';
import { isThenable, type Codec, type MaybePromise, type StorageTier, type StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError } from '../errors.js';
import type { SqliteValue } from '../storage/sqlite-database.js';
import { toEntry, toRow } from '../storage/sqlite-row.js';
import { DurableRows } from './durable-rows.js';

/** Options of {@link durableStorage}. */
export interface DurableStorageOptions {
  /** Name of the table, made by the first write. Letters, digits and underscores. @default 'soloflight' */
  readonly table?: string;
  /** Turns values into text or bytes. @default structuredCloneCodec: keeps maps, sets, dates, bigints, typed arrays */
  readonly codec?: Codec;
}

/**
 * Bytes that a value may take once encoded.
 *
 * Just below the 32 MiB of one RPC message, so that what can be stored can also be answered.
 */
const LARGEST_VALUE = 32_000_000;

/**
 * A storage tier in the SQLite storage of a Durable Object.
 *
 * All calls are synchronous, unless the codec is not. Keys are any strings. A value may take 32,000,000 bytes once
 * encoded; those beyond a megabyte are kept in chunks, since a row takes no more than 2 MB. Key, tags and meta together
 * may take half a megabyte.
 *
 * @throws TypeError for an option that makes no sense, or an object whose class has no SQLite storage.
 */
export function durableStorage(storage: DurableObjectStorage, options: DurableStorageOptions = {}): StorageTier {
  return new DurableStorage(storage, options);
}

/** What {@link durableStorage} makes, with what an object's own upkeep needs. */
export class DurableStorage implements StorageTier {
  readonly name = 'durable-object';
  readonly #rows: DurableRows;
  readonly #codec: Codec;
  readonly #wrote: (keepUntil: number) => void;

  /** `wrote` is told of each entry until when it has to be kept. */
  constructor(
    storage: DurableObjectStorage,
    options: DurableStorageOptions = {},
    wrote: (keepUntil: number) => void = () => {},
  ) {
    this.#wrote = wrote;
    const { table, codec } = resolveOptions(storage, options);
    this.#rows = new DurableRows(storage, table);
    this.#codec = codec;
  }

  get(key: string): MaybePromise<Entry | undefined> {
    const row = this.#rows.read(key);
    return row === undefined ? undefined : toEntry(key, row, this.#codec);
  }

  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      this.#rows.write(row, false);
      this.#wrote(keepUntil);
    });
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): MaybePromise<boolean> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      const stored = this.#rows.write(row, true);
      if (stored) this.#wrote(keepUntil);
      return stored;
    });
  }

  delete(key: string): boolean {
    return this.#rows.delete(key);
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  getMany(keys: readonly string[]): MaybePromise<(Entry | undefined)[]> {
    const entries = keys.map((key) => this.#getDecodable(key));
    return entries.some(isThenable) ? Promise.all(entries) : (entries as (Entry | undefined)[]);
  }

  setMany(writes: readonly StorageWrite[]): MaybePromise<void> {
    const rows = this.#toRows(writes);
    return chain(rows, (all) => {
      this.#rows.atomically(() => {
        for (const row of all) this.#rows.write(row, false);
      });
      for (const { keepUntil } of writes) this.#wrote(keepUntil);
    });
  }

  deleteMany(keys: readonly string[]): void {
    this.#rows.atomically(() => {
      for (const key of keys) this.#rows.delete(key);
    });
  }

  clear(): void {
    this.#rows.atomically(() => this.#rows.clear());
  }

  sweep(now: number, limit: number): number {
    return this.#rows.atomically(() => this.#rows.sweep(now, limit));
  }

  /** The object's storage is the platform's to open and to close. */
  close(): void {}

  /** The earliest instant until which an entry has to be kept; `undefined` if there is none. */
  firstOutlived(): number | undefined {
    return this.#rows.firstOutlived();
  }

  #toRow({ key, entry, keepUntil }: StorageWrite): MaybePromise<SqliteValue[]> {
    return chain(toRow(key, entry, keepUntil, this.#codec), (row) => checkSize(key, row));
  }

  #toRows(writes: readonly StorageWrite[]): MaybePromise<SqliteValue[][]> {
    const rows: MaybePromise<SqliteValue[]>[] = [];
    try {
      for (const write of writes) rows.push(this.#toRow(write));
    } catch (error) {
      // Nobody waits for the others any more.
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
}

function resolveOptions(
  storage: DurableObjectStorage,
  options: DurableStorageOptions,
): Required<DurableStorageOptions> {
  if (!hasSql(storage)) {
    throw misuse(
      'storage',
      "the `ctx.storage` of a Durable Object whose class is listed in `new_sqlite_classes` of the Worker's migrations",
      storage,
    );
  }
  if (typeof options !== 'object' || options === null) throw misuse('options', 'an object', options);
  const { table = 'soloflight', codec = structuredCloneCodec } = options;
  // The table's name is the one thing that can't be a bound parameter.
  if (typeof table !== 'string' || !/^(?!sqlite_|_cf_)[a-z_]\w{0,62}$/i.test(table)) {
    throw misuse(
      'table',
      "a name of 1 to 63 letters, digits and underscores that starts with neither a digit, 'sqlite_' nor '_cf_'",
      table,
    );
  }
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return { table, codec };
}

/** In classes without SQLite the property is there, and throws. */
function hasSql(storage: DurableObjectStorage | undefined): boolean {
  try {
    return typeof storage?.sql.exec === 'function' && typeof storage.transactionSync === 'function';
  } catch {
    return false;
  }
}

function checkSize(key: string, row: SqliteValue[]): SqliteValue[] {
  const payload = row.at(-1) ?? null;
  const size = sizeOf(payload);
  if (size <= LARGEST_VALUE) return row;
  throw new SoloflightError(
    'SOLOFLIGHT_VALUE_TOO_LARGE',
    `The value of '${key.slice(0, 80)}' takes ${size} bytes, and a Durable Object stores no more than ${LARGEST_VALUE} (32 MB) of one. Keep it elsewhere (R2) and cache where it is, or compress it: \`codec: gzip(structuredCloneCodec)\``,
    { key },
  );
}

function sizeOf(payload: SqliteValue): number {
  if (payload instanceof Uint8Array) return payload.length;
  if (typeof payload !== 'string') return 0;
  // Every unit takes one byte at least and three at most: most texts need no counting.
  return payload.length * 3 <= LARGEST_VALUE ? payload.length : new TextEncoder().encode(payload).length;
}

function skipUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
