import { isThenable } from '../base/promises.js';
import type { Codec, MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';
import type { WebArea } from './web-area.js';
import { isDeadRow, readQueueRow, writeQueueRow } from './web-queue-row.js';
import { resolveWebStorage, type WebStorageOptions } from './web-storage-options.js';

/**
 * A queue for a `WriteBehind` in localStorage or sessionStorage: accepts at once, and holds little, about five million
 * characters per origin together with all else that is there. Beyond that writes are refused with `SOLOFLIGHT_STORAGE_FULL`.
 *
 * A write that was accepted survives a reload and the end of its tab, crashes included. The browser brings it to the disk
 * when it gets round to that: a power cut may take the last seconds, where `indexedDbQueue` loses nothing.
 *
 * One `WriteBehind` at a time may own it: where there are several tabs, that of the tab that leads.
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
      // Nobody waits for the others any more.
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

  /** The storage is the browser's to open and to close. */
  close(): void {}

  /** All or none, unless the tab ends in between. */
  #store(ids: readonly string[], rows: readonly string[]): void {
    const before: (readonly [id: string, row: string | undefined])[] = [];
    try {
      for (const [index, id] of ids.entries()) {
        before.push([id, this.#area.get(id)]);
        this.#area.set(id, rows[index] ?? '');
      }
    } catch (error) {
      // What goes first leaves the room that what comes back needs.
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
