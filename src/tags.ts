import { LRUCache } from 'lru-cache';

import { expiredAt, HeldEntry, isFromFuture, type Entry } from './entry.js';
import type { Namespace, TagMode } from './namespace.js';

/** When a tag was last invalidated or expired, or a namespace cleared. */
interface Mark {
  /** Number of the event among all that this process made: what it loads is ordered by these, not by clocks. */
  readonly epoch: number;
  /** Epoch milliseconds: what comes from elsewhere is ordered by these. */
  readonly at: number;
}

/** The instants of the markers that a storage tier holds for one entry, `-Infinity` where it has none. */
export interface StoredMarks {
  readonly cleared: number;
  /** One per tag of the entry, in order. */
  readonly invalidated: readonly number[];
  readonly expired: readonly number[];
}

/** An entry that this process stored, as far as it takes to know it again. */
type Own = Pick<Entry, 'startedAt' | 'createdAt' | 'loadMs'> & { readonly epoch: number };

const MOST_MARKS = 50_000;
const MOST_OWN = 10_000;
const NEVER: Mark = Object.freeze({ epoch: 0, at: -Infinity });

/** How long tag markers stay in storage. A tagged entry there that is older is not believed: its markers may be gone. */
export const MARKER_LIFE: number = 30 * 24 * 3_600_000;
const HORIZON = MARKER_LIFE - 3_600_000;

/**
 * What was invalidated by tag, expired by tag, and cleared, and which entries are out of date for it.
 *
 * One for a cache and all its namespaces. Entries of this process carry the epoch at which their load started; they
 * are valid if none of their tags was marked since. Entries from storage go by instants, with the clocks' skew added on
 * the safe side, and get the epoch of the moment at which they were found valid.
 */
export class TagMarks {
  /** Number of events so far. */
  epoch: number = 0;
  readonly #clockSkew: number;
  /** By storage key of the marker. */
  #marks: LRUCache<string, Mark> | undefined;
  /** Epoch of the newest mark that was forgotten: in memory it counts for every tag. In storage there are the markers. */
  #lost = 0;
  /** The latest instant of any mark. */
  #lastAt = -Infinity;
  /** The latest start of a load whose result this process has stored, or believed. */
  #latest = -Infinity;
  /** Own entries that clocks alone would not tell from ones older than a mark. */
  #own: LRUCache<string, Own> | undefined;

  constructor(clockSkew: number) {
    this.#clockSkew = clockSkew;
  }

  /** Marks `tags`; returns the instant for their markers in storage. */
  mark(space: Namespace, tags: readonly string[], mode: TagMode, now: number): number {
    return this.#add(
      tags.map((tag) => space.markerOf(tag, mode)),
      now,
    );
  }

  /** Marks everything in `space`; returns the instant for the marker in storage. */
  clear(space: Namespace, now: number): number {
    return this.#add([space.clearMarker], now);
  }

  /** `entry`, a stale copy of it if a tag was expired since its load started, or `undefined` if one was invalidated. */
  current<V>(space: Namespace, entry: HeldEntry<V>, now: number): HeldEntry<V> | undefined {
    const { tagging } = entry;
    if (tagging === undefined) return entry;
    const { tags, epoch } = tagging;
    if (tags.length > 0 && epoch < this.#lost) return undefined;
    let staleFrom = Infinity;
    for (const tag of tags) {
      if (this.#of(space.markerOf(tag, 'invalidate')).epoch > epoch) return undefined;
      const expired = this.#of(space.markerOf(tag, 'expire'));
      if (expired.epoch > epoch) staleFrom = Math.min(staleFrom, expired.at, now);
    }
    if (entry.freshUntil > staleFrom) return entry.expired(staleFrom);
    tagging.seen = this.epoch;
    return entry;
  }

  /**
   * Whether `entry` may answer a caller that asked at the epoch `asked`: none of its tags was marked between the start
   * of its load and the question.
   *
   * `keepExpired`: a mark that only made it stale does not count. Errs on the safe side if there were several marks.
   */
  suits(space: Namespace, { tagging }: HeldEntry<unknown>, asked: number, keepExpired: boolean): boolean {
    if (tagging === undefined || tagging.epoch >= asked) return true;
    const { tags, epoch } = tagging;
    if (tags.length > 0 && epoch < this.#lost) return false;
    return tags.every(
      (tag) =>
        this.#of(space.markerOf(tag, 'invalidate')).epoch <= epoch &&
        (keepExpired || this.#of(space.markerOf(tag, 'expire')).epoch <= epoch),
    );
  }

  /** Notes that `entry` goes into storage. */
  stored(space: Namespace, key: string, entry: HeldEntry<unknown>): void {
    this.#latest = Math.max(this.#latest, entry.startedAt);
    if (entry.startedAt > this.#lastAt + this.#clockSkew) return;
    const { startedAt, createdAt, loadMs } = entry;
    // Untagged ones are only ever cleared, which fences: what is stored then was loaded since.
    const epoch = entry.tagging?.epoch ?? this.epoch;
    this.#own ??= new LRUCache({ max: MOST_OWN });
    this.#own.set(space.keyOf(key), { startedAt, createdAt, loadMs, epoch });
  }

  /** What `entry`, just read from storage, is worth: a held entry, a stale one, or `undefined`. */
  judged<V>(space: Namespace, key: string, entry: Entry<V>, marks: StoredMarks, now: number): HeldEntry<V> | undefined {
    const { tags, startedAt } = entry;
    const own = this.#ownEpoch(space.keyOf(key), entry);
    if (this.#outdates(space.clearMarker, marks.cleared, startedAt, own)) return undefined;
    if (tags.length > 0 && startedAt < now - HORIZON) return undefined;
    let stale = false;
    for (const [index, tag] of tags.entries()) {
      const invalidated = marks.invalidated[index] ?? -Infinity;
      if (this.#outdates(space.markerOf(tag, 'invalidate'), invalidated, startedAt, own)) return undefined;
      const expired = marks.expired[index] ?? -Infinity;
      if (this.#outdates(space.markerOf(tag, 'expire'), expired, startedAt, own)) stale = true;
    }
    if (!isFromFuture(entry, now)) this.#latest = Math.max(this.#latest, startedAt);
    return HeldEntry.from(stale ? expiredAt(entry, now) : entry, this.epoch);
  }

  /** Whether the mark at `marker`, as this process knows it or as storage has it, is newer than an entry. */
  #outdates(marker: string, storedAt: number, startedAt: number, own: number | undefined): boolean {
    const known = this.#of(marker);
    // Another process made the one in storage.
    if (storedAt !== known.at && startedAt <= storedAt + this.#clockSkew) return true;
    return own === undefined ? startedAt <= known.at + this.#clockSkew : own < known.epoch;
  }

  #ownEpoch(storageKey: string, entry: Entry): number | undefined {
    const own = this.#own?.get(storageKey);
    if (own === undefined) return undefined;
    const same = own.startedAt === entry.startedAt && own.createdAt === entry.createdAt && own.loadMs === entry.loadMs;
    return same ? own.epoch : undefined;
  }

  #of(marker: string): Mark {
    return this.#marks?.peek(marker) ?? NEVER;
  }

  #add(markers: readonly string[], now: number): number {
    this.epoch += 1;
    // The clock may have jumped back: a marker that looks older than what it is meant for would be for nothing.
    const at = Math.max(now, this.#latest, ...markers.map((marker) => this.#of(marker).at));
    this.#lastAt = Math.max(this.#lastAt, at);
    const mark: Mark = { epoch: this.epoch, at };
    this.#marks ??= new LRUCache({
      max: MOST_MARKS,
      dispose: ({ epoch }, _marker, reason) => this.#forget(epoch, reason),
    });
    for (const marker of markers) this.#marks.set(marker, mark);
    return at;
  }

  #forget(epoch: number, reason: string): void {
    if (reason === 'evict') this.#lost = Math.max(this.#lost, epoch);
  }
}
