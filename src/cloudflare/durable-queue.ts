import { queueOwned } from '../base/owned.js';
import { isThenable } from '../base/promises.js';
import { chain } from '../codecs/chain.js';
import { structuredCloneCodec } from '../codecs/structured-clone.js';
import type { Codec, MaybePromise, Ownership, QueuedWrite, WriteQueue } from '../contracts.js';
import type { SqliteValue } from '../storage/sqlite-database.js';
import { fromQueueRow, toQueueRow } from '../storage/sqlite-queue-row.js';
import { toKey } from '../storage/sqlite-row.js';
import { checkStorage, checkStorageCodec, checkTableName } from './durable-checks.js';
import { checkPayload } from './payload-size.js';
import { QueueRows } from './queue-rows.js';
import { WRITES_TABLE } from './stored-writes.js';

/** Options of {@link durableQueue}. */
export interface DurableQueueOptions {
  /** Name of the table, made by the first write. Letters, digits and underscores. @default 'soloflight_writes' */
  readonly table?: string;
  /** Turns values into text or bytes; `gzip(structuredCloneCodec)` compresses large ones. @default structuredCloneCodec */
  readonly codec?: Codec;
}

/**
 * A queue for a `WriteBehind` in the SQLite storage of a Durable Object.
 *
 * All calls but `load` and `listDead` are synchronous, unless the codec is asynchronous, and each is one transaction. The
 * platform holds back the object's answers and messages until everything stored before is safe. An encoded value may take
 * 32,000,000 bytes. Let the object's alarm call `flush`, by the option `schedule`: timers end with the object.
 *
 * One `WriteBehind` at a time owns it: a second one in the same object waits (`ownerWait`) until the first is closed. What an
 * object owned ends with it, since the platform refuses what a former instance writes.
 *
 * @throws TypeError for an option that makes no sense, or an object whose class has no SQLite storage.
 */
export function durableQueue(storage: DurableObjectStorage, options: DurableQueueOptions = {}): WriteQueue {
  return new DurableQueue(storage, options);
}

/** The queue of {@link durableQueue}, with additions for an object's own upkeep. */
export class DurableQueue implements WriteQueue {
  /** The owners of queues by storage and table. A new instance of the object has another storage. */
  static readonly #owners = new WeakMap<DurableObjectStorage, Map<string, string>>();
  readonly name = 'durable-object';
  readonly #storage: DurableObjectStorage;
  readonly #table: string;
  readonly #sole: boolean;
  readonly #rows: QueueRows;
  readonly #codec: Codec;

  /** `sole`: each new owner takes over, since the object has forgotten the one before. */
  constructor(storage: DurableObjectStorage, options: DurableQueueOptions = {}, sole = false) {
    checkStorage(storage, options);
    const { table = WRITES_TABLE, codec = structuredCloneCodec } = options;
    checkTableName(table);
    checkStorageCodec(codec);
    this.#storage = storage;
    this.#sole = sole;
    this.#table = table;
    this.#rows = new QueueRows(storage, table);
    this.#codec = codec;
  }

  /** Whether a write is stored that is not a dead letter. */
  get hasPending(): boolean {
    return this.#rows.hasPending;
  }

  load(): Promise<(QueuedWrite | Error)[]> {
    return this.#list(false);
  }

  listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#list(true);
  }

  put(writes: readonly QueuedWrite[]): MaybePromise<void> {
    return this.#put(writes);
  }

  remove(ids: readonly string[]): void {
    this.#rows.remove(ids.map(toKey));
  }

  own(owner: string, _ms: number, takeOver: boolean): Ownership | undefined {
    const owners = DurableQueue.#owners.get(this.#storage) ?? new Map<string, string>();
    DurableQueue.#owners.set(this.#storage, owners);
    const other = owners.get(this.#table);
    if (other !== undefined && other !== owner && !takeOver && !this.#sole) return undefined;
    owners.set(this.#table, owner);
    const check = (): void => {
      if (owners.get(this.#table) !== owner) throw queueOwned(this.name);
    };
    return {
      put: (writes) => this.#put(writes, check),
      remove: (ids) => {
        check();
        this.remove(ids);
      },
      release: () => {
        if (owners.get(this.#table) === owner) owners.delete(this.#table);
      },
    };
  }

  /** `check` throws if it must not happen; called together with the change. */
  #put(writes: readonly QueuedWrite[], check?: () => void): MaybePromise<void> {
    const rows: MaybePromise<SqliteValue[]>[] = [];
    try {
      for (const write of writes) rows.push(this.#toRow(write));
    } catch (error) {
      // The other rows have no waiter any more; their rejections must not go unhandled.
      void Promise.allSettled(rows);
      throw error;
    }
    const store = (all: SqliteValue[][]): void => {
      check?.();
      this.#rows.put(all);
    };
    if (rows.some(isThenable)) return Promise.all(rows).then(store);
    store(rows as SqliteValue[][]);
  }

  #toRow(write: QueuedWrite): MaybePromise<SqliteValue[]> {
    return chain(toQueueRow(write, this.#codec), (row) => checkPayload(write.key, row));
  }

  #list(dead: boolean): Promise<(QueuedWrite | Error)[]> {
    const rows = this.#rows.list(dead);
    return Promise.all(rows.map((row) => (row instanceof Error ? row : fromQueueRow(row, this.#codec))));
  }
}
