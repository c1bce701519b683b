import { systemClock } from '../base/clock.js';
import { queueOwned } from '../base/owned.js';
import { isThenable } from '../base/promises.js';
import type { Codec, MaybePromise, Ownership, QueuedWrite } from '../contracts.js';
import type { BrowserQueue } from './browser-storage.js';
import { onPageEnd } from './page-end.js';
import { leaseFor, type QueueLease } from './queue-lease.js';
import type { WebArea } from './web-area.js';
import { isDeadRow, readQueueRow, writeQueueRow } from './web-queue-row.js';
import { resolveWebStorage, type WebStorageOptions } from './web-storage-options.js';

/**
 * A queue for a `WriteBehind` in localStorage or sessionStorage. It accepts at once and holds little: an origin has about
 * five million characters for everything. Beyond that, writes are refused with `SOLOFLIGHT_STORAGE_FULL`.
 *
 * An accepted write survives a reload, the end of its tab, and a crash of its tab. The browser itself writes it to the disk
 * seconds later: when the browser is killed or crashes, or the power fails, the writes of the last seconds are gone, though
 * they were accepted. `indexedDbQueue` loses nothing then: use that for what must not be lost.
 *
 * One `WriteBehind` at a time owns it: with several tabs, that of the leading tab. A second one waits (`ownerWait`) until the
 * first is closed, its page is gone, or it has not said for ten seconds that it lives. Web storage has no transactions: a tab
 * that was suspended in the middle of a change may still make it.
 *
 * @see `sharedWrites`, which lets all tabs write.
 * @throws TypeError for an option that makes no sense.
 */
export function webStorageQueue(options: WebStorageOptions = {}): BrowserQueue {
  const { area, beside, codec } = resolveWebStorage(options, 'soloflight-writes');
  return new WebStorageQueue(area, beside, codec);
}

const OWNER = 'owner';

/** The longest time until a change of another tab is visible here. */
const SETTLE = 250;

class WebStorageQueue implements BrowserQueue {
  readonly name: string;
  readonly #area: WebArea;
  /** Where the owner is. */
  readonly #beside: WebArea;
  readonly #codec: Codec;

  constructor(area: WebArea, beside: WebArea, codec: Codec) {
    this.name = area.name;
    this.#area = area;
    this.#beside = beside;
    this.#codec = codec;
  }

  load(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(false);
  }

  listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#all(true);
  }

  put(writes: readonly QueuedWrite[]): MaybePromise<void> {
    return this.#put(writes);
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) this.#area.delete(id);
  }

  wipe(): void {
    this.#beside.delete(OWNER);
    this.remove(this.#area.keys());
  }

  own(owner: string, ms: number, takeOver: boolean): MaybePromise<Ownership | undefined> {
    const stored = this.#lease();
    const lease = leaseFor(stored, owner, ms, takeOver);
    if (lease === undefined) return undefined;
    this.#keepLease(lease);
    if (stored === undefined || stored.owner === owner) return this.#ownership(owner);
    return this.#settled(owner);
  }

  /** Waits until the owner before has seen that it lost the queue, and this tab sees all that it has accepted until then. */
  async #settled(owner: string): Promise<Ownership | undefined> {
    await new Promise<void>((resolve) => systemClock.after(SETTLE, resolve));
    // Otherwise the owner before has renewed its lease at that moment, or another tab takes the queue as well.
    return this.#lease()?.owner === owner ? this.#ownership(owner) : undefined;
  }

  #ownership(owner: string): Ownership {
    const isOwner = (): boolean => this.#lease()?.owner === owner;
    const endAt = (ends: number): boolean => isOwner() && this.#keepLease({ owner, ends });
    const stopWatching = onPageEnd(() => endAt(0));
    const check = (): void => {
      if (!isOwner()) throw queueOwned(this.name);
    };
    return {
      put: (writes) => this.#put(writes, check),
      remove: (ids) => {
        check();
        this.remove(ids);
      },
      wipe: () => {
        check();
        this.remove(this.#area.keys());
      },
      renew: (more) => endAt(systemClock.now() + more),
      release: () => {
        stopWatching();
        if (isOwner()) this.#beside.delete(OWNER);
      },
    };
  }

  #lease(): QueueLease | undefined {
    const [, ends, owner] = /^(\d+(?:\.\d+)?) (.*)$/s.exec(this.#beside.get(OWNER) ?? '') ?? [];
    return owner === undefined ? undefined : { owner, ends: Number(ends) };
  }

  #keepLease({ owner, ends }: QueueLease): true {
    this.#beside.set(OWNER, `${ends} ${owner}`);
    return true;
  }

  /** `check` throws if it must not happen; called together with the change. */
  #put(writes: readonly QueuedWrite[], check?: () => void): MaybePromise<void> {
    const rows: MaybePromise<string>[] = [];
    try {
      for (const write of writes) rows.push(writeQueueRow(write, this.#codec));
    } catch (error) {
      // The other rows have no waiter any more; their rejections must not go unhandled.
      void Promise.allSettled(rows);
      throw error;
    }
    const ids = writes.map(({ id }) => id);
    const store = (all: readonly string[]): void => {
      check?.();
      this.#store(ids, all);
    };
    if (rows.some(isThenable)) return Promise.all(rows).then(store);
    store(rows as string[]);
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
