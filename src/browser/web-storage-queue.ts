import { isThenable } from '../base/promises.js';
import type { Codec, MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';
import type { WebArea } from './web-area.js';
import { isDeadRow, readQueueRow, writeQueueRow } from './web-queue-row.js';
import { resolveWebStorage, type WebStorageOptions } from './web-storage-options.js';

/**
 * A queue for a `WriteBehind` in localStorage or sessionStorage. It accepts at once and holds little: an origin has about
 * five million characters for everything. Beyond that, writes are refused with `SOLOFLIGHT_STORAGE_FULL`.
 *
 * An accepted write survives a reload and the end of its tab, crashes included. The browser writes it to the disk at a time
 * of its own: a power cut may take the last seconds, where `indexedDbQueue` loses nothing.
 *
 * One `WriteBehind` at a time may own it: with several tabs, that of the leading tab.
 *
 * @see `sharedWrites`, which lets all tabs write.
 * @throws TypeError for an option that makes no sense.
 */
export function webStorageQueue(options: WebStorageOptions = {}): WriteQueue {
  const { area, codec } = resolveWebStorage(options, 'soloflight-writes');
  return new WebStorageQueue(area, codec);
}

class WebStorageQueue implements WriteQueue {
  readonly name: string;
  readonly #area: WebArea;
  readonly #codec: Codec;

  constructor(area: WebArea, codec: Codec) {
    this.name = area.name;
    this.#area = area;
    this.#codec = codec;
  }

  load(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(false);
  }

  listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(true);
  }

  put(writes: readonly QueuedWrite[]): MaybePromise<void> {
    const rows: MaybePromise<string>[] = [];
    try {
      for (const write of writes) rows.push(writeQueueRow(write, this.#codec));
    } catch (error) {
      // The other rows have no waiter any more; their rejections must not go unhandled.
      void Promise.allSettled(rows);
      throw error;
    }
    const ids = writes.map(({ id }) => id);
    if (rows.some(isThenable)) return Promise.all(rows).then((all) => this.#store(ids, all));
    this.#store(ids, rows as string[]);
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) this.#area.delete(id);
  }

  /** The browser opens and closes the storage. */
  close(): void {}

  /** Stores all or none, unless the tab ends in between. */
  #store(ids: readonly string[], rows: readonly string[]): void {
    const before: (readonly [id: string, row: string | undefined])[] = [];
    try {
      for (const [index, id] of ids.entries()) {
        before.push([id, this.#area.get(id)]);
        this.#area.set(id, rows[index] ?? '');
      }
    } catch (error) {
      // Deletes first, to make the room that the restored rows need.
      for (const [id, row] of before) if (row === undefined) this.#area.delete(id);
      for (const [id, row] of before) if (row !== undefined) this.#area.set(id, row);
      throw error;
    }
  }

  #all(dead: boolean): Promise<(QueuedWrite | Error)[]> {
    const found: Promise<QueuedWrite | Error>[] = [];
    for (const id of this.#area.keys()) {
      const row = this.#area.get(id);
      if (row !== undefined && isDeadRow(row) === dead) found.push(readQueueRow(id, row, this.#codec));
    }
    return Promise.all(found);
  }
}
