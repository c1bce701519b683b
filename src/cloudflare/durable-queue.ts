import { isThenable } from '../base/promises.js';
import { chain } from '../codecs/chain.js';
import { structuredCloneCodec } from '../codecs/structured-clone.js';
import type { Codec, MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';
import type { SqliteValue } from '../storage/sqlite-database.js';
import { fromQueueRow, toQueueRow } from '../storage/sqlite-queue-row.js';
import { toKey } from '../storage/sqlite-row.js';
import { checkStorage, checkStorageCodec, checkTableName } from './durable-checks.js';
import { checkPayload } from './payload-size.js';
import { QueueRows } from './queue-rows.js';

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
 * @throws TypeError for an option that makes no sense, or an object whose class has no SQLite storage.
 */
export function durableQueue(storage: DurableObjectStorage, options: DurableQueueOptions = {}): WriteQueue {
  return new DurableQueue(storage, options);
}

/** The queue of {@link durableQueue}, with additions for an object's own upkeep. */
export class DurableQueue implements WriteQueue {
  readonly name = 'durable-object';
  readonly #rows: QueueRows;
  readonly #codec: Codec;

  constructor(storage: DurableObjectStorage, options: DurableQueueOptions = {}) {
    checkStorage(storage, options);
    const { table = 'soloflight_writes', codec = structuredCloneCodec } = options;
    checkTableName(table);
    checkStorageCodec(codec);
    this.#rows = new QueueRows(storage, table);
    this.#codec = codec;
  }

  /** Whether nothing is stored, not even a dead letter. */
  get isEmpty(): boolean {
    return this.#rows.isEmpty;
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
    const rows: MaybePromise<SqliteValue[]>[] = [];
    try {
      for (const write of writes) rows.push(this.#toRow(write));
    } catch (error) {
      // The other rows have no waiter any more; their rejections must not go unhandled.
      void Promise.allSettled(rows);
      throw error;
    }
    if (rows.some(isThenable)) return Promise.all(rows).then((all) => this.#rows.put(all));
    this.#rows.put(rows as SqliteValue[][]);
  }

  remove(ids: readonly string[]): void {
    this.#rows.remove(ids.map(toKey));
  }

  #toRow(write: QueuedWrite): MaybePromise<SqliteValue[]> {
    return chain(toQueueRow(write, this.#codec), (row) => checkPayload(write.key, row));
  }

  #list(dead: boolean): Promise<(QueuedWrite | Error)[]> {
    const rows = this.#rows.list(dead);
    return Promise.all(rows.map((row) => (row instanceof Error ? row : fromQueueRow(row, this.#codec))));
  }
}
