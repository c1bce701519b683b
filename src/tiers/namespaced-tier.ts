import { isThenable } from '../base/promises.js';
import type { Clock, KeyPage, KeyRange, KeysOptions, MaybePromise, TagMode } from '../contracts.js';
import { freshness, plain, type Entry, type HeldEntry } from '../entry.js';
import type { Namespace } from '../marks/namespace.js';
import type { Condition, WriteOutcome } from '../ports.js';
import { ClearMarker } from './clear-marker.js';
import { UNREADABLE, type GuardedPut, type GuardedTier, type GuardedVersioned, type Reading } from './guard.js';
import type { GuardedLease } from './guarded-lease.js';
import type { Judge } from './judge.js';
import { listed } from './listing.js';
import { MarkerTokens } from './marker-tokens.js';
import { clearedAt, instantOf, prefixedAt, prefixedIn, taggedAt } from './markers.js';

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
  /** In a tier that may lose markers. */
  readonly #tokens: MarkerTokens | undefined;

  constructor(guard: GuardedTier, space: Namespace, judge: Judge, clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.name = guard.name;
    this.#guard = guard;
    this.#space = space;
    this.#judge = judge;
    this.#clock = clock;
    this.#cleared = new ClearMarker(guard, space.clearMarker, clock);
    this.#tokens = guard.forgets ? new MarkerTokens(guard, space, () => clock.now()) : undefined;
  }

  /** The entry for `key` that may still be used, maybe only as a stale one. Never rejects. */
  async get(key: string): Promise<HeldEntry<unknown> | undefined> {
    const storageKey = this.#space.keyOf(key);
    const pending = this.#guard.pending(storageKey);
    if (pending !== undefined) {
      const own = this.#guard.shape.own(pending);
      return this.#judge.judged(this.#space, key, own, undefined, this.#clock.now());
    }
    const along = this.#cleared.along();
    const entry = await this.#guard.get(storageKey);
    if (entry !== undefined) return this.#believed(key, entry, along);
    // A load is going to follow.
    if (along !== undefined) this.#tokens?.note([this.#space.clearMarker], [await along]);
    return undefined;
  }

  /** Whether processes can take leases on keys. */
  get leases(): boolean {
    return this.#guard.leases;
  }

  /** See {@link GuardedTier.lacks}. */
  lacks(key: string): boolean {
    return this.#guard.lacks(this.#space.keyOf(key));
  }

  /** Whether it can tell its keys. */
  get lists(): boolean {
    return this.#guard.lists;
  }

  /** Tells keys of usable entries. Rejects where the tier can't be asked. */
  async keys(options: KeysOptions): Promise<KeyPage> {
    const isUsable = async (key: string): Promise<boolean> => {
      const entry = await this.get(key);
      return entry !== undefined && freshness(entry, this.#clock.now()) !== 'gone';
    };
    const page = (range: KeyRange): Promise<KeyPage> => this.#guard.keys(range);
    return listed({ space: this.#space, page, isUsable }, options);
  }

  /** See {@link GuardedTier.hide}. */
  hide(key: string): void {
    this.#guard.hide(this.#space.keyOf(key));
  }

  /** See {@link GuardedTier.distrust}. */
  distrust(): void {
    this.#guard.distrust();
  }

  /** Whether the tier may lose what it holds before its time. */
  get forgets(): boolean {
    return this.#guard.forgets;
  }

  /** Whether it is not asked at present. */
  get isAway(): boolean {
    return this.#guard.isAway;
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

  /** `stored`, which came without its marks, as far as it may be used. `along`: what of them was read along with it. */
  async #believed(key: string, stored: Entry, along?: Marker): Promise<HeldEntry<unknown> | undefined> {
    const shaped = this.#guard.shape.read(this.#space.keyOf(key), stored);
    const entry = isThenable(shaped) ? await shaped : shaped;
    if (entry === undefined) return undefined;
    const { tags } = entry;
    const cleared = this.#cleared.confirmed(along);
    const read = (mode: TagMode): Marker[] => tags.map((tag) => this.#guard.read(this.#space.markerOf(tag, mode)));
    const readings: readonly Reading[] =
      tags.length === 0 ? [await cleared] : await Promise.all([cleared, ...read('invalidate'), ...read('expire')]);
    if (readings.includes(UNREADABLE)) return undefined;
    const markers = readings as readonly (Entry | undefined)[];
    const names = this.#tokens?.markersOf(tags) ?? [];
    this.#tokens?.note(names, markers);
    const agreement = this.#tokens?.agreement(key, entry, markers);
    // Where the tokens are the same, nothing was marked since, whatever the clocks say.
    const instants = markers.map((marker) => (agreement === 'valid' ? -Infinity : instantOf(marker)));
    const marks = {
      cleared: instants[0]!,
      prefixed: agreement === 'valid' ? [] : prefixedIn(markers[0], key),
      invalidated: instants.slice(1, 1 + tags.length),
      expired: instants.slice(1 + tags.length),
    };
    const now = this.#clock.now();
    const judged = this.#judge.judged(this.#space, key, entry, marks, now);
    if (agreement === undefined || agreement === 'valid') return judged;
    // The next entry for its key needs them.
    await this.#tokens!.plant(names, markers);
    return agreement === 'stale' ? judged?.expired(Math.min(now, judged.freshUntil)) : undefined;
  }

  /**
   * Before a load, in a tier that may lose markers: makes sure that those are there which are known to be needed. Resolves with
   * the number of what the entry may claim then.
   */
  async prepare(tags: readonly string[]): Promise<number | undefined> {
    await this.#tokens?.learn(tags);
    return this.#tokens && this.#guard.tokens.last;
  }

  /** See {@link GuardedTier.onLeaseEnd}. */
  onLeaseEnd(key: string, wake: () => void): () => void {
    return this.#guard.onLeaseEnd(this.#space.keyOf(key), wake);
  }

  /** Stores `entry`. See {@link GuardedTier.put}. */
  async put(key: string, entry: HeldEntry<unknown>, options: NamespacedPut): Promise<WriteOutcome> {
    const settle = this.#judge.storing(this.#space, key, entry);
    // Storage can't keep a function: what it brings back must not stand in for a failure that the value does not cover.
    const lasting = entry.covers === undefined ? entry : { ...plain(entry), errorUntil: entry.staleUntil };
    const { stored, after } = this.#claiming(this.#guard.shape.stored(plain(lasting)), options);
    const outcome = await this.#guard.put(this.#space.keyOf(key), stored, { ...options, ...(after && { after }) });
    settle?.(outcome.done && outcome.held);
    return outcome;
  }

  /** `entry` with the tokens that it may claim. Reads see it at once, and it is written when these are known. */
  #claiming(entry: Entry, { since, change, after }: NamespacedPut): Claiming {
    const tokens = this.#tokens;
    const { tags } = entry;
    if (tokens === undefined) return { stored: entry };
    const isKnown = tokens.knows(tags);
    // What the user sets now comes after whatever was marked before.
    const claims = tokens.claims(tags, change === true ? Infinity : (since ?? -1));
    const stored = { ...entry, claims };
    if (isKnown) return { stored };
    const learned = tokens.learn(tags);
    if (change !== true) return { stored };
    const filled = learned.then(() => void claims.splice(0, claims.length, ...tokens.claims(tags, Infinity)));
    return { stored, after: Promise.all([filled, after]) };
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
    return this.#mark(this.#space.markerOf(tag, mode), taggedAt(at));
  }

  /** Stores that all entries whose load started no later than `at` are invalid, or those whose keys begin with `prefix`. */
  clear(at: number, prefix = ''): Promise<WriteOutcome> {
    const marker = prefix === '' ? clearedAt(at) : prefixedAt(prefix, at);
    return this.#mark(this.#space.clearMarker, marker, true);
  }

  #mark(key: string, marker: Entry, joins = false): Promise<WriteOutcome> {
    this.#tokens?.note([key], [undefined]);
    return this.#guard.mark(key, marker, joins);
  }
}

/** How a namespace's entry is to be stored. */
export interface NamespacedPut extends GuardedPut {
  /** What {@link NamespacedTier.prepare} resolved with before the load. */
  readonly since?: number | undefined;
}

interface Claiming {
  readonly stored: Entry;
  readonly after?: Promise<unknown>;
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
