import { endedBy, type Entry, type HeldEntry } from '../entry.js';

/**
 * A wall clock that was set back, until it is again where it was: what had ended by then has ended for good.
 *
 * One for a cache and all its namespaces.
 */
export class SetBack {
  /** Whether the clock is behind where it was: only then is anything to be looked at. */
  matters: boolean = false;
  /** The latest reading before it was set back, epoch milliseconds. */
  #until = -Infinity;
  /** What memory was given since, or what was looked at already. */
  #since = new WeakSet<object>();

  /** Notes that the clock is behind `latest`, an earlier reading of it. */
  note(latest: number): void {
    this.#until = this.matters ? Math.max(this.#until, latest) : latest;
    this.#since = new WeakSet();
    this.matters = true;
  }

  /** Notes that memory is given `entry` now, while the clock is behind. */
  holding(entry: object): void {
    this.#since.add(entry);
  }

  /** `entry` of memory, or a copy of it without the life that the clock has given back to it. */
  held<V>(entry: HeldEntry<V>, now: number): HeldEntry<V> {
    if (this.#since.has(entry)) return entry;
    const mended = this.ended(entry, now);
    if (mended !== entry) return entry.like(mended);
    this.#since.add(entry);
    return entry;
  }

  /** `entry`, made before the clock was set back, or a copy of which everything is over that was over then. */
  ended<V>(entry: Entry<V>, now: number): Entry<V> {
    if (this.matters && now >= this.#until) this.matters = false;
    return this.matters && entry.freshUntil <= this.#until ? endedBy(entry, this.#until, now) : entry;
  }
}
