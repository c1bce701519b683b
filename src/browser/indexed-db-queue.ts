import type { QueuedWrite, WriteQueue } from '../contracts.js';
import { UndecodableError } from '../errors.js';
import { isQueuedWrite } from '../writes/queued-write.js';
import { Database, type Work } from './database.js';
import { resolveDatabase, type IndexedDbOptions } from './indexed-db-options.js';

/**
 * A queue for a `WriteBehind` in an IndexedDB database of its own, by default `soloflight-writes`.
 *
 * An accepted write is on the disk: it survives the tab, the browser and a power cut. Values are whatever the structured
 * clone algorithm takes. One that it does not take is refused, together with all writes of the same call.
 *
 * One `WriteBehind` at a time may own it: with several tabs, that of the leading tab.
 *
 * @see `sharedWrites`, which lets all tabs write.
 * @throws TypeError for an option that makes no sense.
 */
export function indexedDbQueue(options: IndexedDbOptions = {}): WriteQueue {
  const settings = resolveDatabase(options, 'soloflight-writes');
  return new IndexedDbQueue(new Database({ ...settings, store: STORE, version: 1, create, durability: 'strict' }));
}

const STORE = 'writes';

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

class IndexedDbQueue implements WriteQueue {
  readonly name = 'indexed-db';
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  load(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(0);
  }

  listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(1);
  }

  put(writes: readonly QueuedWrite[]): Promise<void> {
    return this.#change(({ store }) => {
      for (const write of writes) store.put(toRecord(write));
    });
  }

  remove(ids: readonly string[]): Promise<void> {
    return this.#change(({ store }) => {
      for (const id of ids) store.delete(id);
    });
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

function toRecord(write: QueuedWrite): WriteRecord {
  const { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead } = write;
  const plain = { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead };
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
