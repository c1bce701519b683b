import { LRUCache } from 'lru-cache';

import type { TagMode } from '../contracts.js';
import type { HeldEntry } from '../entry.js';
import type { Namespace } from './namespace.js';
import { SetBack } from './set-back.js';

/** When a tag was last invalidated or expired, or a namespace cleared. */
export interface Mark {
  /** Number of the event among all that this process made: what it loads is ordered by these, not by clocks. */
  readonly epoch: number;
  /** Epoch milliseconds: what comes from elsewhere is ordered by these. */
  readonly at: number;
}

const MOST_MARKS = 50_000;
const MOST_PREFIXES = 1_000;
const NEVER: Mark = Object.freeze({ epoch: 0, at: -Infinity });

/**
 * What was invalidated by tag, expired by tag, and cleared, and which entries are out of date for it.
 *
 * One for a cache and all its namespaces. Entries of this process carry the epoch at which their load started; they
 * are valid if none of their tags was marked since. Entries from storage are judged by `tiers/judge.ts`.
 */
export class TagMarks {
  /** Number of events so far. */
  epoch: number = 0;
  /** By storage key of the marker. */
  #marks: LRUCache<string, Mark> | undefined;
  /** Epoch of the newest mark that was forgotten: in memory it counts for every tag. In storage there are the markers. */
  lost: number = 0;
  /** The latest instant of any mark that was forgotten. */
  lostAt: number = -Infinity;
  /** The latest instant of any mark. */
  lastAt: number = -Infinity;
  /** The latest start of a load whose result this process has stored, or believed. Written by who judges stored entries. */
  latest: number = -Infinity;
  /** Markers of prefixes, as far as this process knows them: that of the clear, followed by the prefix. And to which each belongs. */
  readonly #prefixes = new Map<string, string>();
  readonly setBack: SetBack = new SetBack();
  /** The epoch at which the wall clock was last set back. */
  setBackEpoch: number = 0;

  /** Notes that the wall clock was set back after it had shown `latest`. */
  noteSetBack(latest: number): void {
    this.epoch += 1;
    this.setBackEpoch = this.epoch;
    this.setBack.note(latest);
  }

  /** Marks `tags`; returns the instant for their markers in storage. */
  mark(space: Namespace, tags: readonly string[], mode: TagMode, now: number): number {
    return this.#add(
      tags.map((tag) => space.markerOf(tag, mode)),
      now,
    );
  }

  /** Marks everything in `space` whose key begins with `prefix`; returns the instant for the marker in storage. */
  clear(space: Namespace, now: number, prefix: string): number {
    const at = this.#add([space.clearMarker + prefix], now);
    if (prefix === '') return at;
    this.#prefixes.set(space.clearMarker + prefix, space.clearMarker);
    if (this.#prefixes.size > MOST_PREFIXES) {
      // What storage held in their namespaces counts as cleared, rather than any as not marked.
      this.put([...new Set(this.#prefixes.values())], at);
      this.#prefixes.clear();
    }
    return at;
  }

  /** The marks of prefixes of `key`. */
  prefixesOf({ clearMarker }: Namespace, key: string): string[] {
    if (this.#prefixes.size === 0) return [];
    return [...this.#prefixes.keys()].filter((marker) => `${clearMarker}${key}`.startsWith(marker));
  }

  /** `entry`, a stale copy of it if a tag was expired since its load started, or `undefined` if one was invalidated. */
  current<V>(space: Namespace, entry: HeldEntry<V>, now: number): HeldEntry<V> | undefined {
    const { tagging } = entry;
    if (tagging === undefined) return entry;
    const { tags, epoch } = tagging;
    if (tags.length > 0 && epoch < this.lost) return undefined;
    let staleFrom = Infinity;
    for (const tag of tags) {
      if (this.of(space.markerOf(tag, 'invalidate')).epoch > epoch) return undefined;
      const expired = this.of(space.markerOf(tag, 'expire'));
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
    if (tags.length > 0 && epoch < this.lost) return false;
    return tags.every(
      (tag) =>
        this.of(space.markerOf(tag, 'invalidate')).epoch <= epoch &&
        (keepExpired || this.of(space.markerOf(tag, 'expire')).epoch <= epoch),
    );
  }

  /** What this process knows of the mark at `marker`, a storage key. */
  of(marker: string): Mark {
    return this.#marks?.peek(marker) ?? NEVER;
  }

  #add(markers: readonly string[], now: number): number {
    // The clock may have jumped back: a marker that looks older than what it is meant for would be for nothing.
    let at = Math.max(now, this.latest);
    for (const marker of markers) at = Math.max(at, this.of(marker).at);
    this.put(markers, at);
    return at;
  }

  /** Notes that the marks at `markers` were made at `at`. */
  put(markers: readonly string[], at: number): void {
    this.epoch += 1;
    this.lastAt = Math.max(this.lastAt, at);
    const mark: Mark = { epoch: this.epoch, at };
    this.#marks ??= new LRUCache({
      max: MOST_MARKS,
      dispose: (forgotten, _marker, reason) => this.#forget(forgotten, reason),
    });
    for (const marker of markers) this.#marks.set(marker, mark);
  }

  #forget({ epoch, at }: Mark, reason: string): void {
    if (reason !== 'evict') return;
    this.lost = Math.max(this.lost, epoch);
    this.lostAt = Math.max(this.lostAt, at);
  }
}
