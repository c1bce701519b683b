import { Batch } from '../base/batch.js';
import { ignore, isThenable, promised } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import type { Clock, LeaseAnswer, MaybePromise, StorageAdapter } from '../contracts.js';
import { cutAt, expiredAt, isEntry, type Entry } from '../entry.js';
import { isSoloflightError, misuse, TierTimeoutError } from '../errors.js';
import type { Attempt, Intent, OutboxOptions, OutboxPort, WriteOutcome } from '../ports.js';
import { Breaker } from './breaker.js';
import { GuardedLease, isLeaseAnswer, type Run } from './guarded-lease.js';
import { Outbox, REFUSED } from './outbox.js';

/** What a guard needs to know and whom it tells. */
export interface GuardOptions {
  readonly clock: Clock;
  /** Deadline of one read, milliseconds. */
  readonly readTimeout: number;
  /** Deadline of one write, milliseconds. */
  readonly writeTimeout: number;
  /** Milliseconds that the tier holds an entry at most. @default as long as the entry lives */
  readonly ttl?: number | undefined;
  /** Makes what keeps the writes on their way, where each request has an I/O context of its own. @default one context */
  readonly outbox?: ((options: OutboxOptions) => OutboxPort) | undefined;
  /** Told of every failure of the tier. */
  readonly report: (operation: string, key: string | undefined, error: unknown) => void;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
}

/** How an entry is to be stored. See {@link GuardedTier.put}. */
export interface GuardedPut {
  readonly keep: boolean;
  readonly after?: Promise<unknown>;
  readonly lease?: GuardedLease | undefined;
}

/** What a reading gives that failed, or gave garbage. */
export const UNREADABLE: unique symbol = Symbol('unreadable');

/** The answer of a tier; `undefined` where there is nothing. */
export type Reading = Entry | undefined | typeof UNREADABLE;

const SWEEP_EVERY = 128;
const SWEEP_LIMIT = 256;

/**
 * Stands before a storage tier so that the rest can treat a failing tier as a missing one.
 *
 * Nothing here throws or rejects, and nothing takes longer than its deadline. Reads see the writes that this process
 * has not finished yet, so that a value that was invalidated is never read back, however slow or dead the tier is.
 */
export class GuardedTier {
  readonly name: string;
  /** Whether a caller may vanish without a trace, and what it waits for with it. */
  readonly mayVanish: boolean;
  readonly #tier: StorageAdapter;
  readonly #options: GuardOptions;
  readonly #breaker: Breaker;
  readonly #outbox: OutboxPort;
  #writes = 0;
  /** Reads of one turn, for a tier that can answer many at once. */
  readonly #batch = new Batch<string, Entry | undefined>((keys) => this.#readTogether(keys));
  /** Whether the tier answers later, as far as is known: gathering reads saves round trips, and only there are any. */
  #waits = false;

  constructor(tier: StorageAdapter, options: GuardOptions) {
    this.name = typeof tier.name === 'string' && tier.name !== '' ? tier.name : 'storage';
    this.#tier = tier;
    this.#options = options;
    this.mayVanish = options.outbox !== undefined;
    this.#breaker = new Breaker(this.mayVanish);
    const writes = { ...options, write: this.#write.bind(this) };
    this.#outbox = options.outbox?.(writes) ?? new Outbox(writes);
  }

  /** Whether the tier answers later, as far as is known. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Whether reads of one turn reach the tier as one. */
  get gathers(): boolean {
    return this.#waits && this.#tier.getMany !== undefined;
  }

  /** Whether processes can take leases on keys. */
  get leases(): boolean {
    return this.#tier.lease !== undefined;
  }

  /** The entry for `key` that is on its way into the tier. */
  pending(key: string): Entry | undefined {
    const intent = this.#outbox.intentFor(key);
    return intent?.kind === 'put' ? intent.entry : undefined;
  }

  /** The entry for `key`, or `undefined` where the tier has none or can't be asked. */
  get(key: string): MaybePromise<Entry | undefined> {
    const reading = this.read(key);
    if (isThenable(reading)) return reading.then(known);
    return known(reading);
  }

  /** Like {@link get}, telling "none" from "can't be asked". */
  read(key: string): MaybePromise<Reading> {
    const intent = this.#outbox.intentFor(key);
    if (intent?.kind === 'remove') return undefined;
    if (intent?.kind === 'put') return intent.entry;

    const admission = this.#breaker.admit(this.#options.clock.monotonic());
    if (admission === 'open') return UNREADABLE;
    if (admission === 'probe' && this.#outbox.kept > 0) return this.#probe(key, intent);
    this.#outbox.replaySoon();
    return this.#read(key, intent);
  }

  /**
   * Stores `entry`. Resolves when it is stored, or will not be, with whether it is.
   *
   * `keep`: the entry replaces one that must not be served any more, so a failed write becomes a removal to be
   * replayed. `after` delays the write; reads see it at once all the same.
   */
  async put(key: string, entry: Entry, { keep, after, lease }: GuardedPut): Promise<boolean> {
    const { ttl, clock } = this.#options;
    if (lease !== undefined) lease.ended = true;
    const kept = ttl === undefined ? entry : cutAt(entry, clock.now() + ttl);
    return (await this.#outbox.intend(key, { kind: 'put', entry: kept, keep, after, lease })).done;
  }

  /**
   * Asks for the lease on `key`. `undefined`: there is none to be had, and whoever asked goes on without.
   *
   * `onRefused` is called if an entry stored with the lease comes too late.
   */
  async lease(key: string, ms: number, newerThan: number, onRefused: () => void): Promise<GuardedAnswer | undefined> {
    const tier = this.#tier;
    // What this process is about to write must get there first, and decides what others find.
    if (tier.lease === undefined || this.#outbox.intentFor(key) !== undefined) return undefined;
    if (this.#breaker.admit(this.#options.clock.monotonic()) === 'open') return undefined;
    const run: Run = (operation, work) => this.#leasing(operation, key, work);
    let late = false;
    const asked = promised(() => tier.lease!(key, ms, newerThan));
    void asked.then((answer) => {
      // Nobody waits for it any more, and others must not wait for nothing.
      if (late && answer.kind === 'lease') void run('release', () => answer.lease.release());
    }, ignore);
    const answer = await run('lease', () => asked);
    late = answer === undefined;
    if (answer?.kind !== 'lease') return answer;
    return { kind: 'lease', lease: new GuardedLease(answer.lease, run, onRefused) };
  }

  /** See {@link StorageAdapter.onLeaseEnd}. Never throws. */
  onLeaseEnd(key: string, wake: () => void): () => void {
    try {
      return this.#tier.onLeaseEnd?.(key, wake) ?? ignore;
    } catch (error) {
      this.#options.report('onLeaseEnd', key, error);
      return ignore;
    }
  }

  async #leasing<T>(operation: string, key: string, work: () => MaybePromise<T>): Promise<T | undefined> {
    const { clock, readTimeout, report } = this.#options;
    const overdue = (): Error => new TierTimeoutError(this.name, operation, readTimeout, key);
    try {
      const result = await withDeadline(clock, readTimeout, promised(work), overdue);
      if (operation === 'lease' && !isLeaseAnswer(result, isEntry))
        throw misuse(`result of ${this.name}.lease`, 'a lease, an entry or held', result);
      this.#breaker.succeed();
      return result;
    } catch (error) {
      this.#breaker.fail(clock.monotonic());
      report(operation, key, error);
      return undefined;
    }
  }

  /** Stores `marker` unless there is a later one. A refused one is replayed as it is. */
  async mark(key: string, marker: Entry): Promise<void> {
    await this.#outbox.intend(key, { kind: 'put', entry: marker, keep: true, after: undefined, marker: true });
  }

  /** Removes `key`; resolves with whether the tier is known to have held it. Refused removals are replayed later. */
  async remove(key: string): Promise<boolean> {
    return (await this.#outbox.intend(key, { kind: 'remove', keep: true })).held;
  }

  /** Makes the entry of `key` fresh no longer than until `at`. Refused changes are replayed later. */
  async expire(key: string, at: number): Promise<void> {
    await this.#outbox.intend(key, { kind: 'expire', at, keep: true });
  }

  /** Waits for writes under way, makes a last attempt at what was refused, then closes the adapter. */
  async close(): Promise<void> {
    await this.#outbox.close();
    await this.#attempt('close', undefined, () => this.#tier.close?.());
  }

  /** The read that finds out whether a failing tier is back: first what it missed, then the key. */
  #probe(key: string, before: Intent | undefined): Promise<Reading> {
    const { clock, readTimeout, background } = this.#options;
    const answer = this.#outbox.replay().then(() => this.#read(key, before));
    background(answer.then(ignore));
    // The reader has no share in the writes that go first, and waits no longer than for any read.
    return withDeadline(clock, readTimeout, answer, ignore).catch(() => UNREADABLE);
  }

  /** `before`: the intent at the time of the call. It may be fulfilled before an answer comes that is older. */
  #read(key: string, before: Intent | undefined): MaybePromise<Reading> {
    if (this.gathers) return this.#settled(key, this.#batch.add(key), before);
    try {
      const result = this.#tier.get(key);
      if (!isThenable(result)) return this.#accept(key, result, before);
      this.#waits = true;
      return this.#settled(key, this.#bounded(key, result), before);
    } catch (error) {
      return this.#unreadable(key, error);
    }
  }

  async #settled(key: string, reading: Promise<Entry | undefined>, before: Intent | undefined): Promise<Reading> {
    try {
      return this.#accept(key, await reading, before);
    } catch (failure) {
      if (!(failure instanceof FailedReading)) return this.#unreadable(key, failure);
      // One reading of many keys that fails is one failure of the tier.
      if (failure.counted) this.#options.report('get', key, failure.error);
      else this.#unreadable(key, failure.error);
      failure.counted = true;
      return UNREADABLE;
    }
  }

  #bounded<T>(key: string | undefined, reading: PromiseLike<T>): Promise<T> {
    const { clock, readTimeout } = this.#options;
    return withDeadline(clock, readTimeout, reading, () => new TierTimeoutError(this.name, 'get', readTimeout, key));
  }

  /** Reads the keys asked for in one turn in one go. */
  async #readTogether(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    const [only] = keys;
    if (keys.length === 1)
      return [
        await this.#bounded(
          only,
          promised(() => this.#tier.get(only!)),
        ),
      ];
    try {
      const entries: unknown = await this.#bounded(
        undefined,
        promised(() => this.#tier.getMany!(keys)),
      );
      if (Array.isArray(entries) && entries.length === keys.length) return entries as (Entry | undefined)[];
      throw misuse(`result of ${this.name}.getMany`, `an array of ${keys.length}`, entries);
    } catch (error) {
      throw new FailedReading(error);
    }
  }

  #unreadable(key: string, error: unknown): typeof UNREADABLE {
    // A payload of another version says nothing about the health of the tier.
    if (isUndecodable(error)) this.#breaker.succeed();
    else this.#breaker.fail(this.#options.clock.monotonic());
    this.#options.report('get', key, error);
    return UNREADABLE;
  }

  #accept(key: string, entry: Entry | undefined, before: Intent | undefined): Reading {
    const usable = entry === undefined || isEntry(entry);
    this.#breaker.succeed();
    if (!usable) this.#options.report('get', key, this.#garbage(entry));
    const corrected = this.#outbox.corrected(key, usable ? entry : undefined, before);
    return usable || corrected !== undefined ? corrected : UNREADABLE;
  }

  #garbage(result: unknown): TypeError {
    return misuse(`result of ${this.name}.get`, 'an entry or undefined', result);
  }

  /**
   * Makes one attempt at writing `intent`.
   *
   * A replay goes past the breaker: storage may refuse a write for its key's sake, and must not count as away for that.
   */
  async #write(key: string, intent: Intent, { wanted, replay }: Attempt): Promise<WriteOutcome> {
    if (!replay && this.#breaker.admit(this.#options.clock.monotonic()) === 'open') return REFUSED;
    const operation = intent.kind === 'remove' ? 'delete' : 'set';
    const outcome = await this.#attempt(
      operation,
      key,
      () => this.#apply(key, intent, wanted),
      replay ? undefined : this.#breaker,
    );
    if (outcome.done) {
      this.#sweepSometimes();
      this.#outbox.replaySoon();
    }
    // A removal may come as late as it likes: at worst a newer entry is lost.
    return intent.kind === 'remove' ? { ...outcome, late: undefined } : outcome;
  }

  async #apply(key: string, intent: Intent, wanted: () => boolean): Promise<boolean | void> {
    if (intent.kind === 'remove') return this.#tier.delete(key);
    // What must replace the stored entry does so even if that one claims to be newer.
    if (intent.kind === 'put' && intent.lease !== undefined && !intent.keep) return intent.lease.store(intent.entry);
    if (intent.kind === 'put' && intent.marker !== true) return this.#store(key, intent.entry, intent.keep);
    if (intent.kind === 'put') return this.#storeMarker(key, intent.entry);
    const entry = await this.#stored(key);
    if (entry === undefined || entry.freshUntil <= intent.at || !wanted()) return;
    await this.#store(key, expiredAt(entry, intent.at), false);
  }

  /** A marker may come late, by a replay: it must not take the place of one that another process stored meanwhile. */
  async #storeMarker(key: string, marker: Entry): Promise<void> {
    const later = this.#tier.setIfNewer === undefined ? await this.#stored(key) : undefined;
    if (later === undefined || later.startedAt < marker.startedAt) await this.#store(key, marker, false);
  }

  /** What is stored for `key`. A payload that can't be decoded counts as nothing: no read here finds it either. */
  async #stored(key: string): Promise<Entry | undefined> {
    try {
      const entry = await this.#tier.get(key);
      if (entry === undefined || isEntry(entry)) return entry;
      throw this.#garbage(entry);
    } catch (error) {
      if (isUndecodable(error)) return undefined;
      throw error;
    }
  }

  async #store(key: string, entry: Entry, always: boolean): Promise<void> {
    if (always || this.#tier.setIfNewer === undefined) await this.#tier.set(key, entry, entry.errorUntil);
    else await this.#tier.setIfNewer(key, entry, entry.errorUntil);
  }

  /** Runs one operation and tells how it went within its deadline, never rejecting. */
  async #attempt(
    operation: string,
    key: string | undefined,
    run: () => MaybePromise<boolean | void>,
    breaker?: Breaker,
  ): Promise<WriteOutcome> {
    const { clock, writeTimeout, report } = this.#options;
    const work = promised(run);
    let late: Promise<unknown> | undefined;
    const overdue = (): Error => {
      late = work;
      return new TierTimeoutError(this.name, operation, writeTimeout, key);
    };
    try {
      const held = await withDeadline(clock, writeTimeout, work, overdue);
      breaker?.succeed();
      return { done: true, held: held === true, late: undefined };
    } catch (error) {
      // A value that is too large says nothing about the health of the tier.
      if (isSoloflightError(error, 'SOLOFLIGHT_VALUE_TOO_LARGE')) breaker?.succeed();
      else breaker?.fail(clock.monotonic());
      report(operation, key, error);
      return { done: false, held: false, late };
    }
  }

  #sweepSometimes(): void {
    const tier = this.#tier;
    this.#writes += 1;
    if (tier.sweep === undefined || this.#writes % SWEEP_EVERY !== 0) return;
    const now = this.#options.clock.now();
    this.#options.background(
      this.#attempt('sweep', undefined, async () => void (await tier.sweep?.(now, SWEEP_LIMIT))).then(ignore),
    );
  }
}

function isUndecodable(error: unknown): boolean {
  return isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE');
}

/** What {@link GuardedTier.lease} answers. */
export type GuardedAnswer =
  | Exclude<LeaseAnswer, { kind: 'lease' }>
  | { readonly kind: 'lease'; readonly lease: GuardedLease };

function known(reading: Reading): Entry | undefined {
  return reading === UNREADABLE ? undefined : reading;
}

/** The failure of a reading of many keys, which each of them gets to know. */
class FailedReading {
  readonly error: unknown;
  counted = false;

  constructor(error: unknown) {
    this.error = error;
  }
}
