import { isThenable } from '../base/promises.js';
import { chain } from '../codecs/chain.js';
import { structuredCloneCodec } from '../codecs/structured-clone.js';
import type {
  Codec,
  KeyPage,
  KeyRange,
  Lease,
  LeaseAnswer,
  MaybePromise,
  StorageAdapter,
  StorageTier,
  StorageWrite,
  VersionAnswer,
} from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse } from '../errors.js';
import type { SqliteValue } from '../storage/sqlite-database.js';
import { toEntry, toRow } from '../storage/sqlite-row.js';
import { defineStorage, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { checkStorage, checkStorageCodec, checkTableName } from './durable-checks.js';
import { DurableLeases } from './durable-leases.js';
import { DurableRows } from './durable-rows.js';
import { checkPayload } from './payload-size.js';

/** Options of {@link durableStorage}. */
export interface DurableStorageOptions extends TierOptions {
  /** Name of the table, made by the first write. Letters, digits and underscores. @default 'soloflight' */
  readonly table?: string;
  /** Turns values into text or bytes. @default structuredCloneCodec: keeps maps, sets, dates, bigints, typed arrays */
  readonly codec?: Codec;
  /**
   * Issues leases, so that of several caches over this storage only one loads a key at a time. Costs two writes per load.
   * Of no use to the one cache of an object, whose flights do the same at no cost. @default false
   */
  readonly lease?: boolean;
}

/**
 * A storage tier in the SQLite storage of a Durable Object.
 *
 * All calls are synchronous, unless the codec is asynchronous. Keys are any strings. Each has a version, so that of several
 * caches over this storage none undoes by a load what another one changed meanwhile; a change writes one row more for it, a
 * load none. An encoded value may take 32,000,000
 * bytes; values above a megabyte are kept in chunks, since a row takes no more than 2 MB. Key, tags and meta together may
 * take half a megabyte.
 *
 * @throws TypeError for an option that makes no sense, or an object whose class has no SQLite storage.
 */
export function durableStorage(storage: DurableObjectStorage, options: DurableStorageOptions = {}): StorageTier {
  return defineStorage(new DurableStorage(storage, options), tierOptionsOf(options));
}

/** The adapter of {@link durableStorage}, with additions for an object's own upkeep. */
export class DurableStorage implements StorageAdapter {
  readonly name = 'durable-object';
  declare readonly lease?: NonNullable<StorageAdapter['lease']>;
  readonly #rows: DurableRows;
  readonly #codec: Codec;
  readonly #wrote: (keepUntil: number) => void;

  /** `wrote` is called for each written entry, with the instant until which it has to be kept. */
  constructor(
    storage: DurableObjectStorage,
    options: DurableStorageOptions = {},
    wrote: (keepUntil: number) => void = () => {},
  ) {
    this.#wrote = wrote;
    const { table, codec, lease } = resolveOptions(storage, options);
    const leases = lease ? new DurableLeases(storage, table) : undefined;
    this.#rows = new DurableRows(storage, table, leases);
    this.#codec = codec;
    if (leases !== undefined) this.lease = (key, ms, newerThan) => this.#lease(leases, key, ms, newerThan);
  }

  get(key: string): MaybePromise<Entry | undefined> {
    const row = this.#rows.read(key);
    return row === undefined ? undefined : toEntry(key, row, this.#codec);
  }

  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      this.#rows.alter([key]);
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

  version(key: string, newerThan: number): MaybePromise<VersionAnswer> {
    const version = this.#rows.version(key);
    const isNewer = (this.#rows.startedAt(key) ?? -Infinity) > newerThan;
    return chain(isNewer ? this.#getDecodable(key) : undefined, (entry) => ({ version, entry }));
  }

  /** Nothing else runs between looking at the version and writing. */
  setIfVersion(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): MaybePromise<boolean> {
    return chain(this.#toRow({ key, entry, keepUntil }), (row) => {
      if (this.#rows.version(key) !== version) return false;
      if (change) this.#rows.alter([key]);
      const stored = this.#rows.write(row, !change);
      if (stored) this.#wrote(keepUntil);
      return stored;
    });
  }

  delete(key: string): boolean {
    this.#rows.alter([key]);
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
        this.#rows.alter(writes.map(({ key }) => key));
        for (const row of all) this.#rows.write(row, false);
      });
      for (const { keepUntil } of writes) this.#wrote(keepUntil);
    });
  }

  deleteMany(keys: readonly string[]): void {
    this.#rows.atomically(() => {
      this.#rows.alter(keys);
      for (const key of keys) this.#rows.delete(key);
    });
  }

  keys(range: KeyRange): KeyPage {
    return this.#rows.keys(range);
  }

  clear(): void {
    this.#rows.atomically(() => this.#rows.clear());
  }

  sweep(now: number, limit: number): number {
    return this.#rows.atomically(() => this.#rows.sweep(now, limit));
  }

  /** The platform opens and closes the object's storage. */
  close(): void {}

  /** The earliest instant until which an entry has to be kept; `undefined` if there is none. */
  firstOutlived(): number | undefined {
    return this.#rows.firstOutlived();
  }

  /** Nothing else runs between looking at the entry and taking the lease, nor between ending the lease and writing. */
  #lease(leases: DurableLeases, key: string, ms: number, newerThan: number): MaybePromise<LeaseAnswer> {
    if ((this.#rows.startedAt(key) ?? -Infinity) > newerThan)
      return chain(this.#getDecodable(key), (entry) =>
        // Written by another version of the program. To this one, there is no entry.
        entry === undefined ? this.#lease(leases, key, ms, Infinity) : { kind: 'entry', entry },
      );
    const taken = leases.take(key, ms);
    if (typeof taken === 'string') return { kind: taken };
    const { token } = taken;
    const lease: Lease = {
      token,
      renew: (more) => leases.renew(key, token, more),
      store: (entry, keepUntil) =>
        chain(this.#toRow({ key, entry, keepUntil }), (row) => {
          const stored = leases.finish(key, token) && this.#rows.write(row, true);
          if (stored) this.#wrote(keepUntil);
          return stored;
        }),
      release: (open) => void (open === true ? leases.open(key, token) : leases.finish(key, token)),
    };
    return { kind: 'lease', lease };
  }

  #toRow({ key, entry, keepUntil }: StorageWrite): MaybePromise<SqliteValue[]> {
    return chain(toRow(key, entry, keepUntil, this.#codec), (row) => checkPayload(key, row));
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
}

function resolveOptions(
  storage: DurableObjectStorage,
  options: DurableStorageOptions,
): Required<Omit<DurableStorageOptions, keyof TierOptions>> {
  checkStorage(storage, options);
  const { table = 'soloflight', codec = structuredCloneCodec, lease = false } = options;
  checkTableName(table);
  checkStorageCodec(codec);
  if (typeof lease !== 'boolean') throw misuse('lease', 'a boolean', lease);
  return { table, codec, lease };
}

function skipUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
