import { systemClock } from '../base/clock.js';
import { isThenable } from '../base/promises.js';
import { chain } from '../codecs/chain.js';
import type { Codec, MaybePromise, StorageAdapter, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError } from '../errors.js';
import { keyInStorage } from '../marks/namespace.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import type { BrowserStorage } from './browser-storage.js';
import type { WebArea } from './web-area.js';
import { parseRow, readRow, writeRow } from './web-row.js';
import { resolveWebStorage, type WebStorageOptions, type WebStorageSettings } from './web-storage-options.js';

/**
 * A storage tier in localStorage or sessionStorage: synchronous, and small, about five million characters per origin.
 *
 * Keys are any strings. When the browser's quota is used up, the entries outlived soonest make room for new ones, but never
 * the markers of tags and of `clear`. An entry that still finds no room is refused with `SOLOFLIGHT_STORAGE_FULL`. All
 * calls are synchronous, unless the codec is asynchronous.
 *
 * The tabs of an origin share localStorage. Other tabs see a write a moment later: `setIfNewer` is atomic within a tab, but
 * two tabs that write the same key in the same moment may overwrite each other. For the same reason there are no versions of
 * keys: a load of one tab may bring back what another one changed since the load began, until that expires or is changed
 * again. IndexedDB has them.
 *
 * Where there is no storage, or site data is blocked, every call throws `SOLOFLIGHT_STORAGE_UNAVAILABLE`, and a cache goes
 * on without the tier. The constructor never throws for that reason, so that the same code may run on a server.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function webStorageStorage(options: WebStorageOptions & TierOptions = {}): BrowserStorage {
  const tier = new WebStorageTier(resolveWebStorage(options, 'soloflight', TIER_OPTIONS));
  return { ...defineStorage(tier, tierOptionsOf(options)), wipe: () => tier.wipe() };
}

/** Name of the instant of the last wipe, epoch milliseconds. */
const WIPED = 'wiped';

/** A sweep looks at this many names per entry it may remove. */
const LOOKS_PER_REMOVAL = 16;

class WebStorageTier implements StorageAdapter {
  readonly name: string;
  readonly #area: WebArea;
  /** Where the instant of the last wipe is. */
  readonly #beside: WebArea;
  readonly #codec: Codec;

  constructor({ area, beside, codec }: WebStorageSettings) {
    this.name = area.name;
    this.#area = area;
    this.#beside = beside;
    this.#codec = codec;
  }

  get(key: string): MaybePromise<Entry | undefined> {
    const row = this.#area.get(key);
    return row === undefined ? undefined : readRow(key, row, this.#codec);
  }

  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void> {
    return chain(writeRow({ key, entry, keepUntil }, this.#codec), (row) => {
      this.#write(key, row, entry);
    });
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): MaybePromise<boolean> {
    return chain(writeRow({ key, entry, keepUntil }, this.#codec), (row) => {
      const stored = parseRow(this.#area.get(key));
      if (stored !== undefined && stored.startedAt > entry.startedAt) return false;
      return this.#write(key, row, entry);
    });
  }

  delete(key: string): boolean {
    return this.#area.delete(key);
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  getMany(keys: readonly string[]): MaybePromise<(Entry | undefined)[]> {
    const entries = keys.map((key) => this.#getDecodable(key));
    return entries.some(isThenable) ? Promise.all(entries) : (entries as (Entry | undefined)[]);
  }

  setMany(writes: readonly StorageWrite[]): MaybePromise<void> {
    const rows = writes.map((write) => writeRow(write, this.#codec));
    const writeAll = (all: readonly string[]): void => {
      for (const [index, { key, entry }] of writes.entries()) this.#write(key, all[index] ?? '', entry);
    };
    return rows.some(isThenable) ? Promise.all(rows).then(writeAll) : writeAll(rows as string[]);
  }

  deleteMany(keys: readonly string[]): void {
    for (const key of keys) this.#area.delete(key);
  }

  clear(): void {
    this.deleteMany(this.#area.keys());
  }

  /** Other tabs have no other way to learn of it: a load that is under way there began before this instant. */
  wipe(): void {
    this.clear();
    this.#beside.set(WIPED, String(systemClock.now()));
  }

  sweep(now: number, limit: number): number {
    let removed = 0;
    for (const key of this.#area.someKeys(limit * LOOKS_PER_REMOVAL)) {
      if (removed >= limit) break;
      const row = parseRow(this.#area.get(key));
      if (row !== undefined && row.keepUntil <= now && this.#area.delete(key)) removed += 1;
    }
    return removed;
  }

  /** The browser opens and closes the storage. */
  close(): void {}

  /** Tells whether the row was stored: not one from before the last wipe. */
  #write(key: string, row: string, { startedAt }: Entry): boolean {
    const wiped = Number(this.#beside.get(WIPED) ?? Number.NaN);
    // An instant in the future: the clock was set back.
    if (startedAt <= wiped && wiped <= systemClock.now()) return false;
    try {
      this.#area.set(key, row);
    } catch (error) {
      if (!isSoloflightError(error, 'SOLOFLIGHT_STORAGE_FULL') || !this.#makeRoom(key, row.length)) throw error;
      this.#area.set(key, row);
    }
    return true;
  }

  /** Removes entries, outlived soonest first, until `needed` characters are free. Removes none if that is impossible. */
  #makeRoom(key: string, needed: number): boolean {
    const removable: { readonly other: string; readonly length: number; readonly keepUntil: number }[] = [];
    for (const other of this.#area.keys()) {
      // Without its marker, an invalidated entry would be valid again.
      if (other === key || keyInStorage(other) === undefined) continue;
      const text = this.#area.get(other);
      const row = parseRow(text);
      if (row !== undefined) removable.push({ other, length: text?.length ?? 0, keepUntil: row.keepUntil });
    }
    if (removable.reduce((sum, { length }) => sum + length, 0) < needed) return false;
    let made = 0;
    for (const { other, length } of removable.sort((a, b) => a.keepUntil - b.keepUntil)) {
      if (made >= needed) break;
      this.#area.delete(other);
      made += length;
    }
    return true;
  }

  #getDecodable(key: string): MaybePromise<Entry | undefined> {
    try {
      const entry = this.get(key);
      return isThenable(entry) ? entry.then(undefined, skipUndecodable) : entry;
    } catch (error) {
      return skipUndecodable(error);
    }
  }
}

function skipUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
