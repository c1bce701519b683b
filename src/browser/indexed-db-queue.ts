import { systemClock } from '../base/clock.js';
import { QUEUE_OWNED, queueOwned } from '../base/owned.js';
import type { Ownership, QueuedWrite } from '../contracts.js';
import { isSoloflightError, UndecodableError } from '../errors.js';
import { isFull } from '../writes/full.js';
import { isQueuedWrite } from '../writes/queued-write.js';
import type { BrowserQueue } from './browser-storage.js';
import { Database, type Work } from './database.js';
import { resolveDatabase, type IndexedDbOptions } from './indexed-db-options.js';
import { LeftOwner } from './left-owner.js';
import { onPageEnd } from './page-end.js';
import { putRecord } from './put-record.js';
import { leaseFor, type QueueLease } from './queue-lease.js';

/**
 * A queue for a `WriteBehind` in an IndexedDB database of its own, by default `soloflight-writes`.
 *
 * An accepted write is on the disk: it survives the tab, the browser and a power cut. Values are whatever the structured
 * clone algorithm takes. One that it does not take is refused, together with all writes of the same call.
 *
 * One `WriteBehind` at a time owns it: with several tabs, that of the leading tab. A second one waits (`ownerWait`) until the
 * first is closed, its page is gone, or it has not said for ten seconds that it lives.
 *
 * @see `sharedWrites`, which lets all tabs write.
 * @throws TypeError for an option that makes no sense.
 */
export function indexedDbQueue(options: IndexedDbOptions = {}): BrowserQueue {
  const settings = resolveDatabase(options, 'soloflight-writes');
  const hangsAfter = settings.openTimeout;
  const database = new Database({ ...settings, hangsAfter, store: STORE, version: 1, create, durability: 'strict' });
  return new IndexedDbQueue(database, new LeftOwner(settings.name));
}

const STORE = 'writes';

/** Id of the record of the owner. Without `dead`, it is in no index, and is never read as a write. */
const OWNER = 'soloflight:owner';
/** What the ids of other records than writes begin with. */
const OWN_IDS = 'soloflight:';

/**
 * Begins the id of a record that says that its owner has lost the queue. A change by that owner fails, since it adds and
 * removes the same record: unlike a look at the owner, this needs no answer in the middle of a transaction.
 */
const LOST = 'soloflight:lost:';

/** After so many milliseconds no page is left that such a record is for. */
const LOST_FOR = 7 * 86_400_000;

/** Version of the records. Those of another version are neither read nor removed. */
const FORMAT = 1;

/** The form of stored writes. The store may hold anything else. */
interface WriteRecord {
  readonly id: string;
  readonly format: number;
  /** 0, or 1 for a dead letter: indexed values must be numbers or texts. */
  readonly dead: 0 | 1;
  readonly write: QueuedWrite;
}

function create(database: IDBDatabase): void {
  database.createObjectStore(STORE, { keyPath: 'id' }).createIndex('dead', 'dead');
}

class IndexedDbQueue implements BrowserQueue {
  readonly name = 'indexed-db';
  readonly #database: Database;
  readonly #left: LeftOwner;

  constructor(database: Database, left: LeftOwner) {
    this.#database = database;
    this.#left = left;
  }

  load(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(0);
  }

  listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(1);
  }

  put(writes: readonly QueuedWrite[]): Promise<void> {
    return this.#change(({ store }) => {
      for (const write of writes) putRecord(store, write.key, toRecord(write));
    });
  }

  remove(ids: readonly string[]): Promise<void> {
    return this.#change(({ store }) => {
      for (const id of ids) store.delete(id);
    });
  }

  /** An owner that has it open loses it. */
  wipe(): Promise<void> {
    return this.#change(({ store, after }) =>
      after(store.get(OWNER), (lease: unknown) => {
        const owner = ownerOf(lease);
        clearWrites(store);
        store.delete(OWNER);
        if (owner !== undefined) store.put({ id: `${LOST}${owner}`, at: systemClock.now() });
      }),
    );
  }

  async own(owner: string, ms: number, takeOver: boolean): Promise<Ownership | undefined> {
    if (!(await this.#take(owner, ms, takeOver))) return undefined;
    const stopWatching = onPageEnd(() => this.#left.note(owner));
    return {
      put: (writes) =>
        this.#changeAs(owner, ({ store }) => {
          for (const write of writes) store.put(toRecord(write));
        }),
      remove: (ids) => this.#removeAs(owner, ids),
      wipe: () => this.#changeAs(owner, ({ store }) => clearWrites(store)),
      renew: (more) => this.#renew(owner, more),
      release: async () => {
        stopWatching();
        await this.#changeAs(owner, ({ store }) => store.delete(OWNER)).catch(ignoreOwned);
      },
    };
  }

  #take(owner: string, ms: number, takeOver: boolean): Promise<boolean> {
    return this.#database.transact('readwrite', ({ store, after, give }) =>
      after(store.get(OWNER), (stored: unknown) => {
        const other = ownerOf(stored);
        const lease = leaseFor(stored, owner, ms, takeOver || (other !== undefined && this.#left.has(other)));
        give(lease !== undefined);
        if (lease === undefined) return;
        store.put({ id: OWNER, ...lease });
        if (other !== undefined && other !== owner) store.put({ id: `${LOST}${other}`, at: systemClock.now() });
        after(store.getAll(IDBKeyRange.bound(LOST, `${LOST}\uffff`)), (lost) => this.#sweep(store, lost));
      }),
    );
  }

  #sweep(store: IDBObjectStore, lost: readonly { readonly id: string; readonly at: number }[]): void {
    const oldest = systemClock.now() - LOST_FOR;
    for (const { id, at } of lost) if (at < oldest) store.delete(id);
  }

  /** Makes the lease of `owner` end in `ms` milliseconds, and tells whether it still was the owner. */
  async #renew(owner: string, ms: number): Promise<boolean> {
    // The page went and came back.
    this.#left.forget(owner);
    try {
      await this.#changeAs(owner, ({ store }) => store.put({ id: OWNER, owner, ends: systemClock.now() + ms }));
      return true;
    } catch (error) {
      if (isSoloflightError(error, QUEUE_OWNED)) return false;
      throw error;
    }
  }

  async #changeAs(owner: string, work: (work: Work<void>) => void): Promise<void> {
    const fence = `${LOST}${owner}`;
    try {
      await this.#change((parts) => {
        parts.store.add({ id: fence });
        parts.store.delete(fence);
        work(parts);
        parts.commit();
      });
    } catch (error) {
      throw (error as { readonly name?: unknown } | null)?.name === 'ConstraintError' ? queueOwned(this.name) : error;
    }
  }

  /** The fence takes room for a moment. Where there is none, it is looked for first. */
  async #removeAs(owner: string, ids: readonly string[]): Promise<void> {
    const remove = ({ store }: Work<void>): void => {
      for (const id of ids) store.delete(id);
    };
    try {
      await this.#changeAs(owner, remove);
    } catch (error) {
      if (!isFull(error)) throw error;
      await this.#change((parts) =>
        parts.after(parts.store.getKey(`${LOST}${owner}`), (fence) => {
          if (fence !== undefined) throw queueOwned(this.name);
          remove(parts);
        }),
      );
    }
  }

  close(): void {
    this.#database.close();
  }

  #change(work: (work: Work<void>) => void): Promise<void> {
    return this.#database.transact('readwrite', work);
  }

  async #all(dead: 0 | 1): Promise<(QueuedWrite | Error)[]> {
    const records = await this.#database.transact<unknown[]>('readonly', ({ store, after, give }) =>
      after(store.index('dead').getAll(dead), give),
    );
    return records.map(toWrite);
  }
}

/** Deletes all writes, and leaves what tells of owners. */
function clearWrites(store: IDBObjectStore): void {
  store.delete(IDBKeyRange.upperBound(OWN_IDS, true));
  store.delete(IDBKeyRange.lowerBound(`${OWN_IDS}\uffff`));
}

function ownerOf(stored: unknown): string | undefined {
  return (stored as Partial<QueueLease> | undefined)?.owner;
}

/** A former owner has nothing to release. */
function ignoreOwned(error: unknown): void {
  if (!isSoloflightError(error, QUEUE_OWNED)) throw error;
}

function toRecord(write: QueuedWrite): WriteRecord {
  const { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead, calls } = write;
  const plain = { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead, calls };
  return { id, format: FORMAT, dead: dead === undefined ? 0 : 1, write: plain };
}

function toWrite(record: unknown): QueuedWrite | Error {
  const { id, format, write } = record as Partial<WriteRecord>;
  // Under another id it would be delivered again and again: what is removed is the write's own.
  if (format === FORMAT && isQueuedWrite(write) && write.id === id) return write;
  const why =
    format === FORMAT ? 'it is no write' : `it has format version ${String(format)}, and only ${FORMAT} is known here`;
  return new UndecodableError(String(id), why);
}
