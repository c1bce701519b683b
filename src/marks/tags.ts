import { LRUCache } from 'lru-cache';

import type { TagMode } from '../contracts.js';
import { expiredAt, HeldEntry, isFromFuture, type Entry } from '../entry.js';
import { MARKER_LIFE, type Namespace } from './namespace.js';
import { OwnEntries } from './own-entries.js';

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

const MOST_MARKS = 50_000;
const NO_MARKS: StoredMarks = Object.freeze({ cleared: -Infinity, invalidated: [], expired: [] });
/** Before any mark. */
const LONG_AGO = -Number.MAX_VALUE;
const NEVER: Mark = Object.freeze({ epoch: 0, at: -Infinity });

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
  /** The latest instant of any mark that was forgotten. */
  #lostAt = -Infinity;
  /** The latest instant of any mark. */
  #lastAt = -Infinity;
  /** The latest start of a load whose result this process has stored, or believed. */
  #latest = -Infinity;
  readonly #own = new OwnEntries();

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

  /** Notes that `entry` goes into storage; what it returns, if anything, is to be told whether it arrived. */
  storing(space: Namespace, key: string, entry: HeldEntry<unknown>): ((arrived: boolean) => void) | undefined {
    this.#latest = Math.max(this.#latest, entry.startedAt);
    if (entry.startedAt > this.#lastAt + this.#clockSkew) return undefined;
    // Untagged ones are only ever cleared, which fences: what is stored then was loaded since.
    return this.#own.storing(space.keyOf(key), entry, entry.tagging?.epoch ?? this.epoch);
  }

  /**
   * What `entry` of a storage tier is worth: a held entry, a stale one, or `undefined`.
   *
   * `marks` is `undefined` for one still on its way there: it is this process's own, and so is all that is known against it.
   */
  judged<V>(
    space: Namespace,
    key: string,
    entry: Entry<V>,
    marks: StoredMarks | undefined,
    now: number,
  ): HeldEntry<V> | undefined {
    const { tags, startedAt } = entry;
    const own = this.#own.epochOf(space.keyOf(key), entry, marks === undefined);
    if (marks === undefined && this.#mayBeForgotten(startedAt, own)) return undefined;
    const { cleared, invalidated, expired } = marks ?? NO_MARKS;
    // No clock tells whether an entry from the future is newer than a mark.
    const since = isFromFuture(entry, now) ? LONG_AGO : startedAt;
    if (this.#outdates(space.clearMarker, cleared, since, own)) return undefined;
    if (tags.length > 0 && startedAt < now - HORIZON) return undefined;
    let staleFrom = Infinity;
    for (const [index, tag] of tags.entries()) {
      if (this.#outdatesTag(space.markerOf(tag, 'invalidate'), invalidated[index], since, own)) return undefined;
      const marker = space.markerOf(tag, 'expire');
      if (this.#outdatesTag(marker, expired[index], since, own))
        staleFrom = Math.min(staleFrom, this.#of(marker).at, now);
    }
    if (since === startedAt) this.#latest = Math.max(this.#latest, startedAt);
    return HeldEntry.from(staleFrom === Infinity ? entry : expiredAt(entry, staleFrom), this.epoch);
  }

  /** Whether the mark at `marker`, as this process knows it or as storage has it, is newer than an entry. */
  #outdates(marker: string, storedAt: number, startedAt: number, own: number | undefined): boolean {
    const known = this.#of(marker);
    // Another process made the one in storage.
    if (storedAt !== known.at && startedAt <= storedAt + this.#clockSkew) return true;
    return own === undefined ? startedAt <= known.at + this.#clockSkew : own < known.epoch;
  }

  /** The same for a tag. Another process's mark is learned, so that what is loaded from now on counts as newer, whatever the clocks say. */
  #outdatesTag(marker: string, storedAt = -Infinity, startedAt: number, own: number | undefined): boolean {
    const outdated = this.#outdates(marker, storedAt, startedAt, own);
    if (outdated && storedAt > this.#of(marker).at) this.#put([marker], storedAt);
    return outdated;
  }

  /** Whether a mark that was forgotten may be newer than an entry. */
  #mayBeForgotten(startedAt: number, own: number | undefined): boolean {
    return own === undefined ? startedAt <= this.#lostAt + this.#clockSkew : own < this.#lost;
  }

  #of(marker: string): Mark {
    return this.#marks?.peek(marker) ?? NEVER;
  }

  #add(markers: readonly string[], now: number): number {
    // The clock may have jumped back: a marker that looks older than what it is meant for would be for nothing.
    let at = Math.max(now, this.#latest);
    for (const marker of markers) at = Math.max(at, this.#of(marker).at);
    this.#put(markers, at);
    return at;
  }

  #put(markers: readonly string[], at: number): void {
    this.epoch += 1;
    this.#lastAt = Math.max(this.#lastAt, at);
    const mark: Mark = { epoch: this.epoch, at };
    this.#marks ??= new LRUCache({
      max: MOST_MARKS,
      dispose: (forgotten, _marker, reason) => this.#forget(forgotten, reason),
    });
    for (const marker of markers) this.#marks.set(marker, mark);
  }

  #forget({ epoch, at }: Mark, reason: string): void {
    if (reason !== 'evict') return;
    this.#lost = Math.max(this.#lost, epoch);
    this.#lostAt = Math.max(this.#lostAt, at);
  }
}
