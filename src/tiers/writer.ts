import { Batch } from '../base/batch.js';
import { ignore, promised } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import { soon } from '../base/turn.js';
import type { Clock, MaybePromise, StorageAdapter } from '../contracts.js';
import { expiredAt, isEntry, type Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError, TierTimeoutError } from '../errors.js';
import type { Attempt, Intent, WriteOutcome } from '../ports.js';
import type { Breaker } from './breaker.js';
import { versionedOf, type Versioned } from './guarded-version.js';
import { instantOf, joined, tokenOf, withToken } from './markers.js';
import type { Meter } from './meter.js';
import { REFUSED } from './outbox.js';

/** What a writer needs to know and whom it tells. */
export interface WriterOptions {
  readonly tier: StorageAdapter;
  /** Name of the tier in errors. */
  readonly name: string;
  readonly clock: Clock;
  /** Deadline of one write, milliseconds. */
  readonly writeTimeout: number;
  readonly breaker: Breaker;
  readonly meter: Meter;
  /** Told of every write that failed. */
  readonly report: (operation: string, key: string | undefined, error: unknown) => void;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
}

const SWEEP_EVERY = 128;
const SWEEP_LIMIT = 256;
/** Removals of one turn from which on they go in one call. Fewer go one by one, and tell what each has removed. */
const MANY = 32;
/** How often a change is tried against others that change the same key at the same time. */
const MOST_CHANGES = 10;
/** A marker that is no older was planted since it was missed, milliseconds. An older one may be there and not be trusted. */
const JUST_NOW = 10_000;

type Put = Intent & { readonly kind: 'put' };

/** A change of what is stored for a key. */
interface Change {
  /** What is there is read if its load began later. */
  readonly newerThan: number;
  /** What is to be there; `undefined`: nothing. */
  readonly make: (there: Entry | undefined) => Entry | undefined;
  readonly wanted: () => boolean;
}

/** Makes single attempts at writing to one storage tier. Nothing here rejects or takes longer than its deadline. */
export class TierWriter {
  readonly #options: WriterOptions;
  readonly #tier: StorageAdapter;
  readonly #versioned: Versioned | undefined;
  readonly #removals = new Batch<string, boolean | void>((keys) => this.#removeTogether(keys), { later: soon });
  #writes = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#tier = options.tier;
    this.#versioned = versionedOf(options.tier);
  }

  /**
   * Makes one attempt at writing `intent`.
   *
   * What must reach storage is tried whatever the breaker says: it may be back. So is a replay: storage may refuse a write
   * for its key's sake, and must not count as away for that.
   */
  async write(key: string, intent: Intent, { wanted, replay }: Attempt): Promise<WriteOutcome> {
    const { breaker, clock } = this.#options;
    if (!replay && !intent.keep && breaker.admit(clock.monotonic()) === 'open') return REFUSED;
    const operation = intent.kind === 'remove' ? 'delete' : 'set';
    const outcome = await this.#attempt(
      operation,
      key,
      () => this.#apply(key, intent, wanted),
      replay ? undefined : breaker,
    );
    if (outcome.done) this.#sweepSometimes();
    return this.#mayComeLate(intent) ? { ...outcome, late: undefined } : outcome;
  }

  /**
   * Whether `intent` does no harm however late it lands: of a removal, a newer entry is lost at worst, and what goes by a
   * lease or a version is refused once anybody has changed the key.
   */
  #mayComeLate(intent: Intent): boolean {
    if (intent.kind === 'remove') return true;
    const goesByVersion = intent.kind === 'put' ? intent.marker !== true : true;
    return (
      goesByVersion && (this.#versioned !== undefined || (intent.kind === 'put' && intent.condition !== undefined))
    );
  }

  /** Closes the adapter. */
  async close(): Promise<void> {
    await this.#attempt('close', undefined, () => this.#tier.close?.());
  }

  #apply(key: string, intent: Intent, wanted: () => boolean): MaybePromise<boolean | void> {
    switch (intent.kind) {
      case 'remove':
        return this.#tier.deleteMany === undefined ? this.#tier.delete(key) : this.#removals.add(key);
      case 'expire':
        return this.#expire(key, intent.at, wanted);
      case 'put':
        return this.#put(key, intent, wanted);
    }
  }

  /** Tells whether the entry is stored now. */
  async #put(key: string, intent: Put, wanted: () => boolean): Promise<boolean> {
    const { entry, condition, keep } = intent;
    try {
      if (intent.joins === true) return await this.#joinMarker(key, entry, wanted);
      if (intent.marker === true) return await this.#storeMarker(key, entry, keep);
      if (condition !== undefined) {
        const stored = await condition.store(entry, keep);
        // Nobody knows what took its place, and what it was to replace must not be served.
        if (!stored && keep) await this.#tier.delete(key);
        return stored;
      }
      if (intent.change === true && this.#versioned !== undefined)
        return await this.#change(key, { newerThan: Infinity, make: () => entry, wanted });
      // What must replace the stored entry does so even if that one claims to be newer.
      return await this.#store(key, entry, keep);
    } catch (error) {
      if (!isUntakeable(error)) throw error;
      // The value before it must not outlive it.
      this.#options.report('set', key, error);
      await this.#tier.delete(key);
      return false;
    }
  }

  /**
   * Stores what `make` makes of the entry that is there, under its version: an attempt that lands late must not undo what
   * others have changed since.
   */
  async #change(key: string, { newerThan, make, wanted }: Change): Promise<boolean> {
    const tier = this.#versioned!;
    for (let left = MOST_CHANGES; left > 0; left -= 1) {
      const { version, entry: there } = await tier.version(key, newerThan);
      if (!wanted()) return false;
      const entry = make(there);
      if (entry === undefined) {
        await tier.delete(key);
        return false;
      }
      if (await tier.setIfVersion(key, entry, entry.errorUntil, version, true)) return true;
    }
    throw new SoloflightError(
      'SOLOFLIGHT_CONTENDED',
      `Others changed the key in ${this.#options.name} at each of ${MOST_CHANGES} attempts to change it`,
    );
  }

  async #expire(key: string, at: number, wanted: () => boolean): Promise<void> {
    if (this.#versioned !== undefined) {
      // Where nothing is, a load may be under way in another process: the removal alters the version all the same.
      const make = (entry: Entry | undefined): Entry | undefined => entry && expiredAt(entry, at);
      await this.#change(key, { newerThan: -Infinity, make, wanted }).catch(unlessUndecodable);
      return;
    }
    const entry = await this.#stored(key);
    if (entry === undefined || entry.freshUntil <= at || !wanted()) return;
    await this.#store(key, expiredAt(entry, at), false);
  }

  /** A marker may come late, by a replay: it must not take the place of one that another process stored meanwhile. */
  async #storeMarker(key: string, marker: Entry, keep: boolean): Promise<boolean> {
    // Where tokens decide, not instants, it may take the place of whatever is there: that costs no more than loads.
    if (this.#tier.forgets === true)
      return keep || this.#versioned === undefined
        ? this.#store(key, withToken(marker), keep)
        : this.#plant(this.#versioned, key, marker);
    const later = this.#tier.setIfNewer === undefined ? await this.#stored(key) : undefined;
    if (later !== undefined && later.startedAt >= marker.startedAt) return true;
    return this.#store(key, marker, false);
  }

  /** Stores `marker` with what is there of the same namespace, which other processes may change at the same time. */
  async #joinMarker(key: string, marker: Entry, wanted: () => boolean): Promise<boolean> {
    const { forgets } = this.#tier;
    // Where it can't be compared, a token of its own makes everything that was loaded before invalid.
    if (forgets === true && (this.#versioned === undefined || instantOf(marker) !== -Infinity))
      return this.#store(key, withToken(marker), true);
    const make = (there: Entry | undefined): Entry => {
      const next = joined(there, marker);
      return forgets === true && tokenOf(next) === undefined ? withToken(next) : next;
    };
    if (this.#versioned !== undefined) return this.#change(key, { newerThan: -Infinity, make, wanted });
    return this.#store(key, make(await this.#stored(key)), true);
  }

  /** Of several processes that miss a marker at the same time, the first plants it. */
  async #plant(tier: Versioned, key: string, marker: Entry): Promise<boolean> {
    const { version, entry } = await tier.version(key, marker.startedAt - JUST_NOW);
    if (entry !== undefined) return false;
    return tier.setIfVersion(key, withToken(marker), marker.errorUntil, version, true);
  }

  /** What is stored for `key`. A payload that can't be decoded counts as nothing: no read here finds it either. */
  async #stored(key: string): Promise<Entry | undefined> {
    try {
      const entry = await this.#tier.get(key);
      if (entry === undefined || isEntry(entry)) return entry;
      throw misuse(`result of ${this.#options.name}.get`, 'an entry or undefined', entry);
    } catch (error) {
      return unlessUndecodable(error);
    }
  }

  async #store(key: string, entry: Entry, always: boolean): Promise<boolean> {
    if (!always && this.#tier.setIfNewer !== undefined) return this.#tier.setIfNewer(key, entry, entry.errorUntil);
    await this.#tier.set(key, entry, entry.errorUntil);
    return true;
  }

  /** Removals go in one call where they are many. It tells for all of them whether any was there. */
  async #removeTogether(keys: readonly string[]): Promise<readonly MaybePromise<boolean | void>[]> {
    if (keys.length < MANY) return keys.map((key) => promised(() => this.#tier.delete(key)));
    const removed: unknown = await this.#tier.deleteMany!(keys);
    return keys.map(() => Number(removed) > 0);
  }

  /** Runs one operation and tells how it went within its deadline, never rejecting. */
  async #attempt(
    operation: string,
    key: string | undefined,
    run: () => MaybePromise<boolean | void>,
    breaker?: Breaker,
  ): Promise<WriteOutcome> {
    const { clock, writeTimeout, report, name, meter } = this.#options;
    const work = promised(run);
    let late: Promise<unknown> | undefined;
    const overdue = (): Error => {
      late = work;
      return new TierTimeoutError(name, operation, writeTimeout, key);
    };
    try {
      const held = await meter.run(operation, () => withDeadline(clock, writeTimeout, work, overdue));
      breaker?.succeed();
      return { done: true, held: held === true, late: undefined };
    } catch (error) {
      breaker?.fail(clock.monotonic());
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

/** Whether `error` says that the storage can't hold the value. It says nothing of the storage's health. */
function isUntakeable(error: unknown): boolean {
  return isSoloflightError(error, 'SOLOFLIGHT_VALUE_TOO_LARGE') || isSoloflightError(error, 'SOLOFLIGHT_UNENCODABLE');
}

/** A payload that can't be decoded here counts as nothing, and is left to whoever can. */
function unlessUndecodable(error: unknown): undefined {
  if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
}
