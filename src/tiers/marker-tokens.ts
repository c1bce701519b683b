import type { Entry } from '../entry.js';
import type { Namespace } from '../marks/namespace.js';
import { UNREADABLE, type GuardedTier, type Reading } from './guard.js';
import type { KnownTokens } from './known-tokens.js';
import { plantedAt, standsFor, tokenOf } from './markers.js';

/** What the tokens of an entry say of it: nothing was marked since, or it is at best a stale one, or nothing at all. */
export type Agreement = 'valid' | 'stale' | 'none';

/**
 * The tokens of markers, in a tier that may lose markers.
 *
 * Every write of a marker gives it a new token, and an entry carries those that its markers had before its load began. An
 * entry is believed while they are the same: whether a marker was replaced, or lost and planted anew, the entry is a miss.
 */
export class MarkerTokens {
  readonly #guard: GuardedTier;
  readonly #space: Namespace;
  readonly #known: KnownTokens;
  readonly #now: () => number;

  constructor(guard: GuardedTier, space: Namespace, now: () => number) {
    this.#guard = guard;
    this.#space = space;
    this.#known = guard.tokens;
    this.#now = now;
  }

  /** The markers of an entry with `tags`: of the namespace, then of the tags, first those that invalidate. */
  markersOf(tags: readonly string[]): readonly string[] {
    const space = this.#space;
    return [
      space.clearMarker,
      ...tags.map((tag) => space.markerOf(tag, 'invalidate')),
      ...tags.map((tag) => space.markerOf(tag, 'expire')),
    ];
  }

  /** Notes what was read of `markers`. */
  note(markers: readonly string[], readings: readonly Reading[]): void {
    for (const [index, marker] of markers.entries()) {
      const reading = readings[index];
      const token = reading === UNREADABLE ? undefined : tokenOf(reading);
      // One on its way has no token yet.
      if (reading === undefined || token !== undefined) this.#known.note(marker, token);
    }
  }

  /** Whether `entry` was loaded under the markers that were read. */
  agreement(key: string, entry: Entry, readings: readonly Reading[]): Agreement {
    const { claims = [], tags } = entry;
    const differs = readings.map((reading, index) => {
      if (reading === UNREADABLE || tokenOf(reading) === undefined) return true;
      return !standsFor(reading!, claims[index], index === 0 ? key : undefined);
    });
    if (differs.slice(0, 1 + tags.length).includes(true)) return 'none';
    return differs.includes(true) ? 'stale' : 'valid';
  }

  /** What an entry with `tags` may claim whose load began when the tokens numbered up to `since` were known. */
  claims(tags: readonly string[], since: number): string[] {
    return this.markersOf(tags).map((marker) => this.#known.get(marker, since) ?? '');
  }

  /** Whether all tokens for `tags` are known. */
  knows(tags: readonly string[]): boolean {
    return this.markersOf(tags).every((marker) => this.#known.get(marker, Infinity) !== undefined);
  }

  /** Learns the tokens for `tags` that are not known, and plants the markers that are not there. Never rejects. */
  async learn(tags: readonly string[]): Promise<void> {
    const markers = this.markersOf(tags).filter((marker) => this.#known.get(marker, Infinity) === undefined);
    await this.plant(markers, await this.#read(markers));
  }

  /** Plants those of `markers` that were not there when they were read: what was loaded before is a miss from then on. */
  async plant(markers: readonly string[], readings: readonly Reading[]): Promise<void> {
    await Promise.all(
      markers.map((marker, index) => {
        const reading = readings[index];
        if (reading === UNREADABLE || tokenOf(reading) !== undefined) return undefined;
        // What a request does that may vanish is waited for by nobody else.
        return this.#guard.mayVanish ? this.#plantOne(marker) : this.#known.once(marker, () => this.#plantOne(marker));
      }),
    );
  }

  async #plantOne(marker: string): Promise<void> {
    // Who marks it at the same time comes first.
    if (this.#guard.pending(marker) !== undefined || this.#known.get(marker, Infinity) !== undefined) return;
    await this.#guard.plant(marker, plantedAt(this.#now(), marker === this.#space.clearMarker));
    await this.#read([marker]);
  }

  async #read(markers: readonly string[]): Promise<readonly Reading[]> {
    const readings = await Promise.all(markers.map((marker) => this.#guard.read(marker)));
    this.note(markers, readings);
    return readings;
  }
}
