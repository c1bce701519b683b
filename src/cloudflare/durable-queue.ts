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
 * All calls but `load` and `listDead` are synchronous, unless the codec is not, and each is one transaction. The platform
 * holds back what the object says and sends until what was stored before is safe. A value may take 32,000,000 bytes once
 * encoded. Let the object's alarm call `flush`, by the option `schedule`: timers end with the object.
 *
 * @throws TypeError for an option that makes no sense, or an object whose class has no SQLite storage.
 */
export function durableQueue(storage: DurableObjectStorage, options: DurableQueueOptions = {}): WriteQueue {
  return new DurableQueue(storage, options);
}

/** What {@link durableQueue} makes, with what an object's own upkeep needs. */
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

  /** Whether nothing is stored, no dead letter either. */
  get isEmpty(): boolean {
    return this.#rows.isEmpty;
  }

  /** Whether something is stored that is no dead letter. */
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
      // Nobody waits for the others any more.
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
