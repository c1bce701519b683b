import type { StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import { isEntry, plain, type Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { Database, type Work } from './database.js';
import { resolveDatabase, type IndexedDbOptions } from './indexed-db-options.js';

/**
 * A storage tier in an IndexedDB database of its own.
 *
 * Values are whatever the structured clone algorithm takes: maps, sets, dates, bigints, typed arrays, blobs, cycles; not
 * functions, and instances of classes lose their class. Keys are any strings. Tabs may share a database: every call is one
 * transaction. A stored entry survives the end of the tab; a power cut may take the last ones.
 *
 * The database is opened at first use, and again when the browser closed it. Where IndexedDB can't be used, every call
 * rejects with `SOLOFLIGHT_STORAGE_UNAVAILABLE`; when the quota is used up, writes reject with `SOLOFLIGHT_STORAGE_FULL`. A
 * cache goes on without the tier.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function indexedDbStorage(options: IndexedDbOptions & TierOptions = {}): StorageTier {
  const settings = resolveDatabase(options, 'soloflight', TIER_OPTIONS);
  const database = new Database({ ...settings, store: STORE, version: 1, create, durability: 'relaxed' });
  return defineStorage(new IndexedDbTier(database), tierOptionsOf(options));
}

const STORE = 'entries';

/** Version of the records. Those of another version are neither read nor removed, only replaced or swept. */
const FORMAT = 1;

const MOST_SWEPT = 1_000_000_000;

/** The form of stored entries. The store may hold anything else. */
interface EntryRecord {
  readonly key: string;
  readonly format: number;
  readonly keepUntil: number;
  readonly entry: Entry;
}

function create(database: IDBDatabase): void {
  database.createObjectStore(STORE, { keyPath: 'key' }).createIndex('keepUntil', 'keepUntil');
}

class IndexedDbTier implements StorageAdapter {
  readonly name = 'indexed-db';
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(key: string): Promise<Entry | undefined> {
    const [record] = await this.#records([key]);
    return record === undefined ? undefined : toEntry(key, record);
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const records = await this.#records(keys);
    return records.map((record) => (isEntryRecord(record) ? record.entry : undefined));
  }

  set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    return this.setMany([{ key, entry, keepUntil }]);
  }

  setMany(writes: readonly StorageWrite[]): Promise<void> {
    return this.#write(({ store }) => {
      for (const write of writes) store.put(toRecord(write));
    });
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): Promise<boolean> {
    return this.#write<boolean>(({ store, after, give }) => {
      after(store.get(key), (stored: unknown) => {
        const newer = !isEntryRecord(stored) || stored.entry.startedAt <= entry.startedAt;
        if (newer) store.put(toRecord({ key, entry, keepUntil }));
        give(newer);
      });
    });
  }

  delete(key: string): Promise<boolean> {
    return this.#write<boolean>(({ store, after, give }) => {
      after(store.getKey(key), (found) => {
        if (found !== undefined) store.delete(key);
        give(found !== undefined);
      });
    });
  }

  deleteMany(keys: readonly string[]): Promise<void> {
    return this.#write(({ store }) => {
      for (const key of keys) store.delete(key);
    });
  }

  clear(): Promise<void> {
    return this.#write(({ store }) => void store.clear());
  }

  async sweep(now: number, limit: number): Promise<number> {
    // IndexedDB takes a count of 0 for none.
    if (!(limit >= 1)) return 0;
    return this.#write<number>(({ store, after, give }) => {
      after(
        store.index('keepUntil').getAllKeys(IDBKeyRange.upperBound(now), Math.min(Math.floor(limit), MOST_SWEPT)),
        (keys) => {
          for (const key of keys) store.delete(key);
          give(keys.length);
        },
      );
    });
  }

  close(): void {
    this.#database.close();
  }

  #write<T = void>(work: (work: Work<T>) => void): Promise<T> {
    return this.#database.transact<T>('readwrite', work);
  }

  async #records(keys: readonly string[]): Promise<unknown[]> {
    if (keys.length === 0) return [];
    const found: unknown[] = [];
    await this.#database.transact<void>('readonly', ({ store, after }) => {
      for (const [index, key] of keys.entries())
        after(store.get(key), (record: unknown) => {
          found[index] = record;
        });
    });
    return found;
  }
}

function toRecord({ key, entry, keepUntil }: StorageWrite): EntryRecord {
  return { key, format: FORMAT, keepUntil, entry: plain(entry) };
}

function toEntry(key: string, record: unknown): Entry {
  if (isEntryRecord(record)) return record.entry;
  const { format } = Object(record) as Partial<EntryRecord>;
  throw new UndecodableError(
    key,
    format === FORMAT
      ? 'it is not an entry'
      : `it has format version ${String(format)}, and only ${FORMAT} is known here`,
  );
}

function isEntryRecord(record: unknown): record is EntryRecord {
  const { format, entry } = Object(record) as Partial<EntryRecord>;
  return format === FORMAT && isEntry(entry);
}
