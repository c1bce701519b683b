import { expiredAt, HeldEntry, isFromFuture, type Entry } from '../entry.js';
import { MARKER_LIFE, type Namespace } from '../marks/namespace.js';
import type { TagMarks } from '../marks/tags.js';
import { OwnEntries } from './own-entries.js';

/** The instants of the markers that a storage tier holds for one entry, `-Infinity` where it has none. */
export interface StoredMarks {
  readonly cleared: number;
  /** Those of prefixes of its key. */
  readonly prefixed: readonly { readonly at: number; readonly prefix: string }[];
  /** One per tag of the entry, in order. */
  readonly invalidated: readonly number[];
  readonly expired: readonly number[];
}

const NO_MARKS: StoredMarks = Object.freeze({ cleared: -Infinity, prefixed: [], invalidated: [], expired: [] });
/** Before any mark. */
const LONG_AGO = -Number.MAX_VALUE;
/** A tagged entry that is older is not believed when it comes from storage: its markers may be gone. */
const HORIZON = MARKER_LIFE - 3_600_000;

/**
 * Judges entries of storage by the marks that this process knows and by those that storage holds. One for a cache and all its
 * namespaces.
 *
 * Entries from storage go by instants, with the clocks' skew added on the safe side, and get the epoch of the moment at
 * which they were found valid.
 */
export class Judge {
  readonly #marks: TagMarks;
  readonly #clockSkew: number;
  readonly #own = new OwnEntries();

  constructor(marks: TagMarks, clockSkew: number) {
    this.#marks = marks;
    this.#clockSkew = clockSkew;
  }

  /** Notes that `entry` goes into storage; what it returns, if anything, is to be told whether it arrived. */
  storing(space: Namespace, key: string, entry: HeldEntry<unknown>): ((arrived: boolean) => void) | undefined {
    this.#marks.latest = Math.max(this.#marks.latest, entry.startedAt);
    if (entry.startedAt > this.#marks.lastAt + this.#clockSkew && !this.#marks.setBack.matters) return undefined;
    // Untagged ones are only ever cleared, which fences: what is stored then was loaded since.
    return this.#own.storing(space.keyOf(key), entry, entry.tagging?.epoch ?? this.#marks.epoch);
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
    const { cleared, prefixed, invalidated, expired } = marks ?? NO_MARKS;
    // No clock tells whether an entry from the future is newer than a mark.
    const since = isFromFuture(entry, now) ? LONG_AGO : startedAt;
    if (this.#outdates(space.clearMarker, cleared, since, own)) return undefined;
    for (const marker of this.#marks.prefixesOf(space, key))
      if (this.#outdates(marker, -Infinity, since, own)) return undefined;
    for (const { at, prefix } of prefixed)
      if (this.#outdates(space.clearMarker + prefix, at, since, own)) return undefined;
    if (tags.length > 0 && startedAt < now - HORIZON) return undefined;
    let staleFrom = Infinity;
    for (const [index, tag] of tags.entries()) {
      if (this.#outdatesTag(space.markerOf(tag, 'invalidate'), invalidated[index], since, own)) return undefined;
      const marker = space.markerOf(tag, 'expire');
      if (this.#outdatesTag(marker, expired[index], since, own))
        staleFrom = Math.min(staleFrom, this.#marks.of(marker).at, now);
    }
    if (since === startedAt) this.#marks.latest = Math.max(this.#marks.latest, startedAt);
    const lasting = this.#lasting(entry, own, now);
    return HeldEntry.from(staleFrom === Infinity ? lasting : expiredAt(lasting, staleFrom), this.#marks.epoch);
  }

  /** `entry` without the life that this process's clock gave back to it that was set back. Only its own are known to be newer. */
  #lasting<V>(entry: Entry<V>, own: number | undefined, now: number): Entry<V> {
    const { setBack, setBackEpoch } = this.#marks;
    const isNewer = own !== undefined && own >= setBackEpoch;
    return setBack.matters && !isNewer ? setBack.ended(entry, now) : entry;
  }

  /** Whether the mark at `marker`, as this process knows it or as storage has it, is newer than an entry. */
  #outdates(marker: string, storedAt: number, startedAt: number, own: number | undefined): boolean {
    const known = this.#marks.of(marker);
    // Another process made the one in storage.
    if (storedAt !== known.at && startedAt <= storedAt + this.#clockSkew) return true;
    return own === undefined ? startedAt <= known.at + this.#clockSkew : own < known.epoch;
  }

  /** The same for a tag. Another process's mark is learned, so that what is loaded from now on counts as newer, whatever the clocks say. */
  #outdatesTag(marker: string, storedAt = -Infinity, startedAt: number, own: number | undefined): boolean {
    const outdated = this.#outdates(marker, storedAt, startedAt, own);
    if (outdated && storedAt > this.#marks.of(marker).at) this.#marks.put([marker], storedAt);
    return outdated;
  }

  /** Whether a mark that was forgotten may be newer than an entry. */
  #mayBeForgotten(startedAt: number, own: number | undefined): boolean {
    return own === undefined ? startedAt <= this.#marks.lostAt + this.#clockSkew : own < this.#marks.lost;
  }
}
