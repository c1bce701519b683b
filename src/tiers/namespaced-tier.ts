import { isThenable } from '../base/promises.js';
import type { Clock, MaybePromise, TagMode } from '../contracts.js';
import { plain, type Entry, type HeldEntry } from '../entry.js';
import { type Namespace, MARKER_LIFE } from '../marks/namespace.js';
import type { Condition, WriteOutcome } from '../ports.js';
import { ClearMarker } from './clear-marker.js';
import { UNREADABLE, type GuardedPut, type GuardedTier, type GuardedVersioned, type Reading } from './guard.js';
import type { GuardedLease } from './guarded-lease.js';
import type { Judge, StoredMarks } from './judge.js';

/** Stays for as long as the entries might. */
const CLEAR_MARKER_LIFE = 100 * 365 * 24 * 3_600_000;

const UNMARKED: readonly number[] = Object.freeze([]);

/**
 * A storage tier as one namespace sees it: under its own keys, and without the entries that were invalidated by tag, or
 * cleared, by any process.
 *
 * An entry is believed only if its markers could be read.
 */
export class NamespacedTier {
  readonly name: string;
  readonly #guard: GuardedTier;
  readonly #space: Namespace;
  readonly #judge: Judge;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #cleared: ClearMarker;

  constructor(guard: GuardedTier, space: Namespace, judge: Judge, clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.name = guard.name;
    this.#guard = guard;
    this.#space = space;
    this.#judge = judge;
    this.#clock = clock;
    this.#cleared = new ClearMarker(guard, space.clearMarker, clock);
  }

  /** The entry for `key` that may still be used, maybe only as a stale one. Never rejects. */
  async get(key: string): Promise<HeldEntry<unknown> | undefined> {
    const storageKey = this.#space.keyOf(key);
    const pending = this.#guard.pending(storageKey);
    if (pending !== undefined) return this.#judged(key, pending, undefined);
    const along = this.#cleared.along();
    const entry = await this.#guard.get(storageKey);
    if (entry === undefined) return undefined;
    const marks = await this.#storedMarks(entry.tags, this.#cleared.confirmed(along));
    return marks === undefined ? undefined : this.#judged(key, entry, marks);
  }

  /** Whether processes can take leases on keys. */
  get leases(): boolean {
    return this.#guard.leases;
  }

  /** See {@link GuardedTier.hide}. */
  hide(key: string): void {
    this.#guard.hide(this.#space.keyOf(key));
  }

  /** See {@link GuardedTier.distrust}. */
  distrust(): void {
    this.#guard.distrust();
  }

  /** Whether what is stored for a key has a version. */
  get compares(): boolean {
    return this.#guard.compares;
  }

  /** Asks for the lease on `key`. See {@link GuardedTier.lease}. Of an entry that may not be used, only its start is told. */
  async lease(
    key: string,
    ms: number,
    newerThan: number,
    onRefused: () => void,
  ): Promise<NamespacedAnswer | 'none' | undefined> {
    const answer = await this.#guard.lease(this.#space.keyOf(key), ms, newerThan, onRefused);
    if (answer === undefined || answer === 'none' || answer.kind !== 'entry') return answer;
    return { kind: 'entry', entry: await this.#believed(key, answer.entry), startedAt: answer.entry.startedAt };
  }

  /** Asks for the version of `key`, and the entry if that is newer and may be used. See {@link GuardedTier.version}. */
  version(key: string, newerThan: number, onRefused: () => void): MaybePromise<NamespacedVersion | undefined> {
    const answer = this.#guard.version(this.#space.keyOf(key), newerThan, onRefused);
    return isThenable(answer) ? answer.then((said) => this.#versioned(key, said)) : this.#versioned(key, answer);
  }

  #versioned(key: string, answer: GuardedVersioned | undefined): MaybePromise<NamespacedVersion | undefined> {
    if (answer?.entry === undefined) return answer as NamespacedVersion | undefined;
    const { condition } = answer;
    return this.#believed(key, answer.entry).then((entry) => ({ condition, entry }));
  }

  /** `entry`, which came without its marks, as far as it may be used. */
  async #believed(key: string, entry: Entry): Promise<HeldEntry<unknown> | undefined> {
    // Most who ask get no entry: a marker read along would mostly be read for nothing.
    const marks = await this.#storedMarks(entry.tags, this.#cleared.confirmed(undefined));
    return marks === undefined ? undefined : this.#judged(key, entry, marks);
  }

  /** See {@link GuardedTier.onLeaseEnd}. */
  onLeaseEnd(key: string, wake: () => void): () => void {
    return this.#guard.onLeaseEnd(this.#space.keyOf(key), wake);
  }

  /** Stores `entry`. See {@link GuardedTier.put}. */
  async put(key: string, entry: HeldEntry<unknown>, options: GuardedPut): Promise<WriteOutcome> {
    const settle = this.#judge.storing(this.#space, key, entry);
    const outcome = await this.#guard.put(this.#space.keyOf(key), plain(entry), options);
    settle?.(outcome.done && outcome.held);
    return outcome;
  }

  /** See {@link GuardedTier.remove}. */
  remove(key: string, later?: () => void): Promise<WriteOutcome> {
    return this.#guard.remove(this.#space.keyOf(key), later);
  }

  /** See {@link GuardedTier.expire}. */
  expire(key: string, at: number, later?: () => void): Promise<WriteOutcome> {
    return this.#guard.expire(this.#space.keyOf(key), at, later);
  }

  /** Stores that entries with `tag` whose load started no later than `at` are invalid, or stale. */
  mark(tag: string, mode: TagMode, at: number): Promise<WriteOutcome> {
    return this.#guard.mark(this.#space.markerOf(tag, mode), markerAt(at, MARKER_LIFE));
  }

  /** Stores that all entries whose load started no later than `at` are invalid. */
  clear(at: number): Promise<WriteOutcome> {
    return this.#guard.mark(this.#space.clearMarker, clearedAt(at));
  }

  #judged(key: string, entry: Entry, marks: StoredMarks | undefined): HeldEntry<unknown> | undefined {
    return this.#judge.judged(this.#space, key, entry, marks, this.#clock.now());
  }

  /** What storage has against an entry with `tags`; `undefined` where that can't be told. */
  async #storedMarks(tags: readonly string[], cleared: Marker): Promise<StoredMarks | undefined> {
    if (tags.length === 0) {
      const marker: Reading = await cleared;
      return marker === UNREADABLE
        ? undefined
        : { cleared: instantOf(marker), invalidated: UNMARKED, expired: UNMARKED };
    }
    const read = (mode: TagMode): Marker[] => tags.map((tag) => this.#guard.read(this.#space.markerOf(tag, mode)));
    const markers: readonly Reading[] = await Promise.all([cleared, ...read('invalidate'), ...read('expire')]);
    const instants: number[] = [];
    for (const marker of markers) {
      if (marker === UNREADABLE) return undefined;
      instants.push(instantOf(marker));
    }
    const [clearing = -Infinity, ...others] = instants;
    return { cleared: clearing, invalidated: others.slice(0, tags.length), expired: others.slice(tags.length) };
  }
}

/** What {@link NamespacedTier.version} answers. */
export interface NamespacedVersion {
  readonly condition: Condition;
  readonly entry: HeldEntry<unknown> | undefined;
}

/** What {@link NamespacedTier.lease} answers. */
export type NamespacedAnswer =
  | { readonly kind: 'lease'; readonly lease: GuardedLease }
  | { readonly kind: 'entry'; readonly entry: HeldEntry<unknown> | undefined; readonly startedAt: number }
  | { readonly kind: 'held' }
  | { readonly kind: 'open' };

type Marker = MaybePromise<Reading>;

function instantOf(marker: Entry | undefined): number {
  return marker?.startedAt ?? -Infinity;
}

/** The marker that all entries whose load started no later than `at` are invalid. */
export function clearedAt(at: number): Entry {
  return markerAt(at, CLEAR_MARKER_LIFE);
}

/** A marker is an entry like any other, so that every storage can keep it: `startedAt` says which of two is later. */
function markerAt(at: number, life: number): Entry {
  const until = at + life;
  return {
    value: true,
    startedAt: at,
    createdAt: at,
    freshUntil: until,
    staleUntil: until,
    errorUntil: until,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}
