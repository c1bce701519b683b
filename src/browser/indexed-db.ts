import type { StorageAdapter, StorageWrite, VersionAnswer } from '../contracts.js';
import { isEntry, plain, type Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import type { BrowserStorage } from './browser-storage.js';
import { Database, type Work } from './database.js';
import { resolveDatabase, type IndexedDbOptions } from './indexed-db-options.js';
import { putRecord } from './put-record.js';
import { alterVersions, beginVersions, readVersion } from './stored-versions.js';

/**
 * A storage tier in an IndexedDB database of its own.
 *
 * Values are whatever the structured clone algorithm takes: maps, sets, dates, bigints, typed arrays, blobs, cycles; not
 * functions, and instances of classes lose their class. Another value is refused with `SOLOFLIGHT_UNENCODABLE`. Keys are any
 * strings. Tabs may share a database: every call is one transaction, and each key has a version, so that the load of one
 * tab never undoes what another one changed meanwhile. A stored entry survives the end of the tab; a power cut may take the last ones.
 *
 * The database is opened at first use, and again when the browser closed it. Where IndexedDB can't be used, every call
 * rejects with `SOLOFLIGHT_STORAGE_UNAVAILABLE`; when the quota is used up, writes reject with `SOLOFLIGHT_STORAGE_FULL`. A
 * cache goes on without the tier.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function indexedDbStorage(options: IndexedDbOptions & TierOptions = {}): BrowserStorage {
  const settings = resolveDatabase(options, 'soloflight', TIER_OPTIONS);
  const hangsAfter = Math.min(HANGS_AFTER, settings.openTimeout);
  const database = new Database({ ...settings, hangsAfter, store: STORE, version: 1, create, durability: 'relaxed' });
  const tier = new IndexedDbTier(database);
  // It begins the versions of all keys anew: what is being loaded, in whichever tab, is refused.
  return { ...defineStorage(tier, tierOptionsOf(options)), wipe: () => tier.clear() };
}

const STORE = 'entries';

/** A cache that waits for each read of a hanging database is worse than one without it. */
const HANGS_AFTER = 1_000;

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
  const store = database.createObjectStore(STORE, { keyPath: 'key' });
  store.createIndex('keepUntil', 'keepUntil');
  beginVersions(store);
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
    return this.#write((work) => {
      for (const write of writes) put(work, write);
      alterVersions(
        work,
        writes.map(({ key }) => key),
      );
    });
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): Promise<boolean> {
    return this.#write<boolean>((work) => putIfNewer(work, { key, entry, keepUntil }));
  }

  version(key: string, newerThan: number): Promise<VersionAnswer> {
    return this.#database.transact<VersionAnswer>('readonly', (work) => {
      const { store, after, give } = work;
      after(store.get(key), (record: unknown) => {
        const entry = isEntryRecord(record) && record.entry.startedAt > newerThan ? record.entry : undefined;
        readVersion(work, key, (version) => give({ version, entry }));
      });
    });
  }

  setIfVersion(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): Promise<boolean> {
    const write = { key, entry, keepUntil };
    return this.#write<boolean>((work) =>
      readVersion(work, key, (current) => {
        if (current !== version) return work.give(false);
        if (!change) return putIfNewer(work, write);
        put(work, write);
        alterVersions(work, [key]);
        work.give(true);
      }),
    );
  }

  delete(key: string): Promise<boolean> {
    return this.#write<boolean>((work) => {
      const { store, after, give } = work;
      after(store.getKey(key), (found) => {
        if (found !== undefined) store.delete(key);
        give(found !== undefined);
      });
      alterVersions(work, [key]);
    });
  }

  deleteMany(keys: readonly string[]): Promise<void> {
    return this.#write((work) => {
      for (const key of keys) work.store.delete(key);
      alterVersions(work, keys);
    });
  }

  clear(): Promise<void> {
    return this.#write(({ store }) => {
      store.clear();
      beginVersions(store);
    });
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

function putIfNewer(work: Work<boolean>, write: StorageWrite): void {
  work.after(work.store.get(write.key), (stored: unknown) => {
    const newer = !isEntryRecord(stored) || stored.entry.startedAt <= write.entry.startedAt;
    if (newer) put(work, write);
    work.give(newer);
  });
}

function put({ store }: Work<never>, { key, entry, keepUntil }: StorageWrite): void {
  putRecord(store, key, { key, format: FORMAT, keepUntil, entry: plain(entry) } satisfies EntryRecord);
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
