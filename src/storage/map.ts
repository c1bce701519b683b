import { Versions } from '../base/versions.js';
import type { KeyPage, KeyRange, StorageAdapter, StorageTier, StorageWrite, VersionAnswer } from '../contracts.js';
import type { Entry } from '../entry.js';
import { defineStorage, type TierOptions } from '../tiers/define-storage.js';

/** A sweep looks at no more than this many entries per entry it may remove. */
const LOOKS_PER_REMOVAL = 16;

/** An entry with the instant until which it is kept. */
interface Held {
  readonly entry: Entry;
  readonly keepUntil: number;
}

/**
 * A storage tier over a `Map` in this process: the reference for adapters, and a stand-in for a real storage in tests.
 *
 * Values are held by reference and may be anything; keys may be any string. Only `sweep` bounds it: an entry stays until
 * it is swept, removed or replaced. `close` releases nothing, so that another cache can go on with the same entries.
 *
 * A sweep visits only a part of the map, from where the last one stopped. So it may find nothing while there is more to
 * sweep.
 */
export function mapStorage(options: TierOptions = {}): StorageTier {
  return defineStorage(new MapStorage(), options);
}

class MapStorage implements StorageAdapter {
  readonly name = 'map';
  readonly #held = new Map<string, Held>();
  readonly #versions = new Versions();
  #sweeping = this.#held.entries();

  get(key: string): Entry | undefined {
    return this.#held.get(key)?.entry;
  }

  set(key: string, entry: Entry, keepUntil: number): void {
    this.#versions.alter(key);
    this.#held.set(key, { entry, keepUntil });
  }

  delete(key: string): boolean {
    this.#versions.alter(key);
    return this.#held.delete(key);
  }

  getMany(keys: readonly string[]): (Entry | undefined)[] {
    return keys.map((key) => this.get(key));
  }

  setMany(writes: readonly StorageWrite[]): void {
    for (const { key, entry, keepUntil } of writes) this.set(key, entry, keepUntil);
  }

  deleteMany(keys: readonly string[]): void {
    for (const key of keys) this.delete(key);
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): boolean {
    const stored = this.get(key);
    if (stored !== undefined && stored.startedAt > entry.startedAt) return false;
    this.#held.set(key, { entry, keepUntil });
    return true;
  }

  version(key: string, newerThan: number): VersionAnswer {
    const entry = this.get(key);
    const version = this.#versions.of(key);
    return entry !== undefined && entry.startedAt > newerThan ? { version, entry } : { version };
  }

  setIfVersion(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): boolean {
    if (this.#versions.of(key) !== version) return false;
    if (!change) return this.setIfNewer(key, entry, keepUntil);
    this.set(key, entry, keepUntil);
    return true;
  }

  /** In the order of their code units, so that a page can begin where the last one ended, whatever came or went. */
  keys({ prefix, limit, cursor }: KeyRange): KeyPage {
    const later = [...this.#held.keys()].filter(
      (key) => key.startsWith(prefix) && (cursor === undefined || key > cursor),
    );
    const keys = later.sort(byCodeUnits).slice(0, limit);
    return keys.length < later.length ? { keys, cursor: keys.at(-1) } : { keys };
  }

  clear(): void {
    this.#versions.alterAll();
    this.#held.clear();
  }

  sweep(now: number, limit: number): number {
    let removed = 0;
    for (let looks = Math.min(this.#held.size, limit * LOOKS_PER_REMOVAL); looks > 0 && removed < limit; looks -= 1) {
      const [key, { keepUntil }] = this.#nextHeld();
      if (keepUntil > now) continue;
      this.#held.delete(key);
      removed += 1;
    }
    return removed;
  }

  close(): void {}

  /** The entry after the last one visited, wrapping around. Must not be called on an empty map. */
  #nextHeld(): [string, Held] {
    const next = this.#sweeping.next();
    if (next.done !== true) return next.value;
    this.#sweeping = this.#held.entries();
    return this.#sweeping.next().value as [string, Held];
  }
}

function byCodeUnits(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
