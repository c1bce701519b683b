import { Batch } from '../base/batch.js';
import { ignore, isThenable, promised } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import type {
  Clock,
  KeyPage,
  KeyRange,
  LeaseAnswer,
  MaybePromise,
  StorageAdapter,
  VersionAnswer,
} from '../contracts.js';
import { cutAt, isEntry, type Entry } from '../entry.js';
import { isSoloflightError, misuse, TierTimeoutError } from '../errors.js';
import type { Condition, Intent, Metering, OutboxOptions, OutboxPort, WriteOutcome } from '../ports.js';
import { Breaker } from './breaker.js';
import { GuardedLease, isLeaseAnswer, type Run } from './guarded-lease.js';
import { GuardedVersion, isVersionAnswer, versionedOf, type Versioned } from './guarded-version.js';
import { KnownTokens } from './known-tokens.js';
import { found, Meter } from './meter.js';
import { isPart, Outbox, REFUSED } from './outbox.js';
import { Shape, type ShapeOptions } from './shape.js';
import { TierWriter } from './writer.js';

/** What a guard needs to know and whom it tells. */
export interface GuardOptions {
  readonly clock: Clock;
  /** Deadline of one read, milliseconds. */
  readonly readTimeout: number;
  /** Deadline of one write, milliseconds. */
  readonly writeTimeout: number;
  /** Milliseconds that the tier holds an entry at most. @default as long as the entry lives */
  readonly ttl?: number | undefined;
  /** Which of its values are believed. @default all */
  readonly shape?: ShapeOptions | undefined;
  /** Makes what keeps the writes on their way, where each request has an I/O context of its own. @default one context */
  readonly outbox?: ((options: OutboxOptions) => OutboxPort) | undefined;
  /** Told of each key that the tier missed a change of. */
  readonly missed?: ((key: string) => void) | undefined;
  /** Told when nothing stored before now can be believed any more. */
  readonly suspected?: (() => void) | undefined;
  /** Told how each operation of the tier went. @default nobody */
  readonly metering?: Metering | undefined;
  /** Told of every failure of the tier. */
  readonly report: (operation: string, key: string | undefined, error: unknown) => void;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
}

/** How an entry is to be stored. See {@link GuardedTier.put}. */
export interface GuardedPut {
  readonly keep: boolean;
  readonly after?: Promise<unknown>;
  /** What storing a loaded entry goes by. */
  readonly condition?: Condition | undefined;
  /** Whether it is the user's own change of the key. */
  readonly change?: boolean | undefined;
  /** Called when the tier, which missed it, has taken it after all. */
  readonly later?: (() => void) | undefined;
}

/** What a reading gives that failed, or gave garbage. */
export const UNREADABLE: unique symbol = Symbol('unreadable');

/** The answer of a tier; `undefined` where there is nothing. */
export type Reading = Entry | undefined | typeof UNREADABLE;

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
  readonly tokens: KnownTokens = new KnownTokens();
  readonly shape: Shape;
  readonly #tier: StorageAdapter;
  readonly #options: GuardOptions;
  readonly #breaker: Breaker;
  readonly #meter: Meter;
  readonly #versioned: Versioned | undefined;
  readonly #writer: TierWriter;
  readonly #outbox: OutboxPort;
  /** Reads of one turn, for a tier that can answer many at once. */
  readonly #batch = new Batch<string, Entry | undefined>((keys) => this.#readTogether(keys));
  /** Whether the tier answers later, as far as is known: gathering reads saves round trips, and only there are any. */
  #waits = false;
  /** How often the tier may have gone back to an earlier state. */
  #losses = 0;
  #unlisten: (() => void) | undefined;

  constructor(tier: StorageAdapter, options: GuardOptions) {
    this.name = typeof tier.name === 'string' && tier.name !== '' ? tier.name : 'storage';
    this.#tier = tier;
    this.#options = options;
    this.shape = new Shape(options.shape ?? {}, (key, error) => options.report('get', key, error));
    this.mayVanish = options.outbox !== undefined;
    this.#breaker = new Breaker(this.mayVanish);
    this.#versioned = versionedOf(tier);
    const meter = (this.#meter = new Meter(options.clock, this.name, options.metering));
    this.#writer = new TierWriter({ ...options, tier, name: this.name, breaker: this.#breaker, meter });
    const writes: OutboxOptions = {
      ...options,
      overflown: () => options.suspected?.(),
      write: (key, intent, attempt) => this.#writer.write(key, intent, attempt),
    };
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

  /** Whether it is not asked at present, since it keeps failing. */
  get isAway(): boolean {
    return this.#breaker.isFailing;
  }

  /** Whether what is stored for a key has a version, which a load asks for first. */
  get compares(): boolean {
    return this.#versioned !== undefined;
  }

  /** Whether the tier may lose what it holds before its time. */
  get forgets(): boolean {
    return this.#tier.forgets === true;
  }

  /** Whether it can tell its keys. */
  get lists(): boolean {
    return this.#tier.keys !== undefined;
  }

  /** A page of its keys, as they are stored. Rejects where the tier fails: nothing could stand in for the answer. */
  async keys(range: KeyRange): Promise<KeyPage> {
    const { clock, readTimeout } = this.#options;
    this.#listen();
    const overdue = (): Error => new TierTimeoutError(this.name, 'keys', readTimeout);
    const listed = (): Promise<KeyPage> => promised(() => this.#tier.keys!(range));
    const page: unknown = await this.#meter.run('keys', () => withDeadline(clock, readTimeout, listed(), overdue));
    if (Array.isArray((page as Partial<KeyPage> | undefined)?.keys)) return page as KeyPage;
    throw misuse(`result of ${this.name}.keys`, 'a page of keys', page);
  }

  /** The entry for `key` that is on its way into the tier. */
  pending(key: string): Entry | undefined {
    const intent = this.#outbox.intentFor(key);
    return intent?.kind === 'put' && !this.#isUncertain(intent) ? intent.entry : undefined;
  }

  /** Whether only the tier can tell if `intent` comes too late. Another request's write is not waited for. */
  #isUncertain(intent: Intent | undefined): boolean {
    return intent?.kind === 'put' && intent.condition !== undefined && !this.mayVanish;
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
    if (intent?.kind === 'put' && !isPart(intent))
      return this.#isUncertain(intent) ? this.#readWritten(key) : intent.entry;

    if (this.#unlisten === undefined) this.#listen();
    const admission = this.#breaker.admit(this.#options.clock.monotonic());
    if (admission === 'open') return UNREADABLE;
    if (admission === 'probe' && this.#outbox.kept > 0) return this.#probe(key, intent);
    this.#outbox.replaySoon();
    return this.#read(key, intent);
  }

  /**
   * Stores `entry`. Resolves when it is stored, or will not be.
   *
   * `keep`: the entry replaces one that must not be served any more, so a failed write becomes a removal to be
   * replayed. `after` delays the write; reads see it at once all the same. A tier that compares stores no loaded entry without
   * a `condition`: nobody knows then whether the key was changed since the load began.
   */
  put(key: string, entry: Entry, { keep, after, condition, change, later }: GuardedPut): Promise<WriteOutcome> {
    const { ttl, clock } = this.#options;
    // What the tier said before it lost its state says nothing of what it holds now.
    const isBlind = condition === undefined ? change !== true && this.compares : condition.losses !== this.#losses;
    if (isBlind) return keep ? this.remove(key, later) : Promise.resolve(REFUSED);
    if (condition instanceof GuardedLease) condition.ended = true;
    const kept = ttl === undefined ? entry : cutAt(entry, clock.now() + ttl);
    return this.#intend(key, { kind: 'put', entry: kept, keep, after, condition, change }, later);
  }

  /**
   * Asks for the version of `key`, and for the entry if its load began later than `newerThan`. `undefined`: the tier did not
   * answer.
   *
   * `onRefused` is called if an entry stored under the version comes too late.
   */
  version(key: string, newerThan: number, onRefused: () => void): MaybePromise<GuardedVersioned | undefined> {
    const tier = this.#versioned;
    // Where the reading of the key has just failed, a load must not wait a second time.
    if (tier === undefined || this.#breaker.isFailing) return undefined;
    this.#listen();
    const losses = this.#losses;
    const before = this.#outbox.intentFor(key);
    const said = (answer: VersionAnswer | undefined): GuardedVersioned | undefined => {
      if (answer === undefined) return undefined;
      const condition = new GuardedVersion(tier, key, { version: answer.version, losses, onRefused });
      // What is on its way may be older than what the tier was asked for.
      const entry = this.#outbox.corrected(key, answer.entry, before);
      return { condition, entry: entry !== undefined && entry.startedAt > newerThan ? entry : undefined };
    };
    const answer = this.#asked('version', key, () => tier.version(key, newerThan), isVersionAnswer);
    return isThenable(answer) ? answer.then(said) : said(answer);
  }

  /**
   * Asks for the lease on `key`. `undefined`: the tier did not answer. 'none': what this process has written must get there
   * first, and decides what others find.
   *
   * `onRefused` is called if an entry stored with the lease comes too late.
   */
  async lease(
    key: string,
    ms: number,
    newerThan: number,
    onRefused: () => void,
  ): Promise<GuardedAnswer | 'none' | undefined> {
    const tier = this.#tier;
    if (tier.lease === undefined || this.#outbox.intentFor(key) !== undefined) return 'none';
    if (this.#breaker.isFailing) return undefined;
    this.#listen();
    const losses = this.#losses;
    const run: Run = async (operation, work) => this.#asked(operation, key, work);
    let late = false;
    const asked = promised(() => tier.lease!(key, ms, newerThan));
    void asked.then((answer) => {
      // Nobody waits for it any more, and others must not wait for nothing.
      if (late && answer.kind === 'lease') void run('release', () => answer.lease.release());
    }, ignore);
    const answer = await this.#asked('lease', key, () => asked, isLeaseAnswer);
    late = answer === undefined;
    if (answer?.kind === 'entry' && this.#outbox.corrected(key, answer.entry, undefined) !== answer.entry)
      return 'none';
    if (answer?.kind !== 'lease') return answer;
    return { kind: 'lease', lease: new GuardedLease(answer.lease, run, { losses, onRefused }) };
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

  /** What `work` brings, within the deadline of a read; `undefined` where it fails or is not what `isValid` takes. */
  #asked<T>(
    operation: string,
    key: string,
    work: () => MaybePromise<T>,
    isValid: (answer: unknown) => boolean = () => true,
  ): MaybePromise<T | undefined> {
    const { clock, readTimeout, report } = this.#options;
    const taken = (answer: T): T => {
      if (!isValid(answer)) throw misuse(`result of ${this.name}.${operation}`, 'an answer to it', answer);
      this.#breaker.succeed();
      return answer;
    };
    const failed = (error: unknown): undefined => {
      this.#breaker.fail(clock.monotonic());
      report(operation, key, error);
    };
    try {
      const overdue = (): Error => new TierTimeoutError(this.name, operation, readTimeout, key);
      const answer = this.#meter.run(operation, () => {
        const asked = work();
        // Where nothing has to be waited for, no timer is needed.
        return isThenable(asked) ? withDeadline(clock, readTimeout, asked, overdue) : asked;
      });
      return isThenable(answer) ? answer.then(taken).then(undefined, failed) : taken(answer);
    } catch (error) {
      return failed(error);
    }
  }

  /** Stores `marker` unless there is a later one. A refused one is replayed as it is. `joins`: it takes the place of none. */
  mark(key: string, marker: Entry, joins = false): Promise<WriteOutcome> {
    const intent: Intent = { kind: 'put', entry: marker, keep: true, after: undefined, marker: true, joins };
    return this.#intend(key, intent, undefined);
  }

  /** Stores `marker`, which invalidates nothing, unless there is a later one. A refused one is not tried again. */
  plant(key: string, marker: Entry): Promise<WriteOutcome> {
    return this.#intend(key, { kind: 'put', entry: marker, keep: false, after: undefined, marker: true }, undefined);
  }

  /** Removes `key`. A refused removal is replayed later, and then `later` is called. */
  remove(key: string, later?: () => void): Promise<WriteOutcome> {
    return this.#intend(key, { kind: 'remove', keep: true }, later);
  }

  /** Makes the entry of `key` fresh no longer than until `at`. Refused changes are replayed later, and then `later` is called. */
  expire(key: string, at: number, later?: () => void): Promise<WriteOutcome> {
    return this.#intend(key, { kind: 'expire', at, keep: true }, later);
  }

  /** Changes that the tier has missed and is still to be told of. */
  get kept(): number {
    return this.#outbox.kept;
  }

  /** See {@link OutboxPort.lacks}. */
  lacks(key: string): boolean {
    return this.#outbox.lacks(key);
  }

  /** Shows reads no entry that is on its way for `key`. */
  hide(key: string): void {
    this.#outbox.hide(key);
  }

  /** Believes nothing that was stored before now. */
  distrust(): void {
    this.#outbox.distrust();
  }

  #intend(key: string, wish: Intent, later: (() => void) | undefined): Promise<WriteOutcome> {
    this.#listen();
    return this.#outbox.intend(key, wish, later);
  }

  /**
   * Listens, from the first use on, for the tier's word that it can be reached again, or that it may have gone back to an
   * earlier state. Where a caller may vanish, nobody would be there to hear it.
   */
  #listen(): void {
    if (this.#unlisten !== undefined || this.mayVanish) return;
    const { background, report, suspected } = this.#options;
    this.#unlisten = ignore;
    try {
      const deaf = this.#tier.onReady?.(() => void (this.#outbox.kept > 0 && background(this.#outbox.replay())));
      const blind = this.#tier.onLoss?.(() => {
        this.#losses += 1;
        suspected?.();
      });
      this.#unlisten = () => {
        deaf?.();
        blind?.();
      };
    } catch (error) {
      report('listen', undefined, error);
    }
  }

  /** Waits for writes under way, makes a last attempt at what was refused, then closes the adapter. */
  async close(): Promise<void> {
    this.#unlisten?.();
    this.#unlisten = ignore;
    await this.#outbox.close();
    await this.#writer.close();
  }

  /** The read that finds out whether a failing tier is back: first what it missed, then the key. */
  #probe(key: string, before: Intent | undefined): Promise<Reading> {
    const { clock, readTimeout, background } = this.#options;
    const answer = this.#outbox.replay().then(() => this.#read(key, before));
    background(answer.then(ignore));
    // The reader has no share in the writes that go first, and waits no longer than for any read.
    return withDeadline(clock, readTimeout, answer, ignore).catch(() => UNREADABLE);
  }

  /**
   * Reads `key` once the tier has taken or refused what a load has brought: others may have changed the key since that load
   * began. While that hangs, nobody knows.
   */
  async #readWritten(key: string): Promise<Reading> {
    const { clock, readTimeout } = this.#options;
    await withDeadline(clock, readTimeout, this.#outbox.written(key), ignore).catch(ignore);
    return this.#isUncertain(this.#outbox.intentFor(key)) ? UNREADABLE : this.read(key);
  }

  /** `before`: the intent at the time of the call. It may be fulfilled before an answer comes that is older. */
  #read(key: string, before: Intent | undefined): MaybePromise<Reading> {
    if (this.gathers) return this.#settled(key, this.#batch.add(key), before);
    try {
      const result = this.#get(key);
      if (!isThenable(result)) return this.#accept(key, result, before);
      this.#waits = true;
      return this.#settled(key, result, before);
    } catch (error) {
      return this.#unreadable(key, error);
    }
  }

  /** What the tier says of `key`, within its deadline. May throw. */
  #get(key: string): MaybePromise<Entry | undefined> {
    const work = (): MaybePromise<Entry | undefined> => {
      const result = this.#tier.get(key);
      return isThenable(result) ? this.#bounded(key, result) : result;
    };
    return this.#meter.run('get', work, found);
  }

  async #settled(key: string, reading: PromiseLike<Entry | undefined>, before: Intent | undefined): Promise<Reading> {
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
    if (keys.length === 1) return [await this.#get(only!)];
    try {
      const together = (): Promise<unknown> =>
        this.#bounded(
          undefined,
          promised(() => this.#tier.getMany!(keys)),
        );
      const entries = await this.#meter.run('getMany', together);
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
}

function isUndecodable(error: unknown): boolean {
  return isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE');
}

/** What {@link GuardedTier.version} answers. */
export interface GuardedVersioned {
  readonly condition: Condition;
  readonly entry: Entry | undefined;
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
