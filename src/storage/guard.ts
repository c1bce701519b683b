import type { Clock, MaybePromise, StorageTier } from '../contracts.js';
import { expiredAt, isEntry, type Entry } from '../entry.js';
import { isSoloflightError, misuse, TierTimeoutError } from '../errors.js';
import { Breaker } from './breaker.js';

/** What a guard needs to know and whom it tells. */
export interface GuardOptions {
  readonly clock: Clock;
  /** Deadline of one read, milliseconds. */
  readonly readTimeout: number;
  /** Deadline of one write, milliseconds. */
  readonly writeTimeout: number;
  /** Told of every failure of the tier. */
  readonly report: (operation: string, key: string | undefined, error: unknown) => void;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
}

/** What storage is to hold for a key. `keep`: until then, what it holds now must not be served. */
type Intent =
  | { readonly kind: 'put'; readonly entry: Entry; readonly keep: boolean }
  | { readonly kind: 'remove'; readonly keep: true }
  | { readonly kind: 'expire'; readonly at: number; readonly keep: true };

/** The writes of one key that storage has not confirmed. */
interface Slot {
  /** The latest wish; earlier ones that did not start are skipped. */
  intent: Intent;
  /** The writes of a key run one after another: storage need not keep their order. */
  chain: Promise<boolean>;
  /** Whether the tier refused, and the intent waits for the next replay. */
  kept: boolean;
}

const MOST_KEPT = 10_000;
/** Kept ones, and ones under way. */
const MOST_SLOTS = 2 * MOST_KEPT;
const REPLAY_PAUSE = 1_000;
const REPLAY_AT_ONCE = 32;
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
  readonly #tier: StorageTier;
  readonly #options: GuardOptions;
  readonly #breaker = new Breaker();
  readonly #slots = new Map<string, Slot>();
  #keptCount = 0;
  #replayAt = 0;
  #replaying: Promise<boolean> | undefined;
  /** Entries whose load started no later than this are not trusted: more invalidations were lost than could be kept. */
  #distrustUntil = -Infinity;
  #writes = 0;

  constructor(tier: StorageTier, options: GuardOptions) {
    this.name = typeof tier.name === 'string' && tier.name !== '' ? tier.name : 'storage';
    this.#tier = tier;
    this.#options = options;
  }

  /** The entry for `key`, or `undefined` where the tier has none or can't be asked. */
  get(key: string): MaybePromise<Entry | undefined> {
    const intent = this.#slots.get(key)?.intent;
    if (intent?.kind === 'remove') return undefined;
    if (intent?.kind === 'put') return intent.entry;

    const admission = this.#breaker.admit(this.#options.clock.monotonic());
    if (admission === 'open') return undefined;
    if (admission === 'probe') return this.#probe(key);
    this.#replaySoon();
    return this.#read(key);
  }

  /**
   * Stores `entry`. Resolves when it is stored, or will not be.
   *
   * `keep`: the entry replaces one that must not be served any more, so a failed write becomes a removal to be
   * replayed. `after` delays the write; reads see it at once all the same.
   */
  async put(key: string, entry: Entry, { keep, after }: { readonly keep: boolean; readonly after?: Promise<unknown> }): Promise<void> {
    await this.#intend(key, { kind: 'put', entry, keep }, after);
  }

  /** Removes `key`; resolves with whether the tier is known to have held it. Refused removals are replayed later. */
  remove(key: string): Promise<boolean> {
    return this.#intend(key, { kind: 'remove', keep: true });
  }

  /** Makes the entry of `key` fresh no longer than until `at`. Refused changes are replayed later. */
  async expire(key: string, at: number): Promise<void> {
    await this.#intend(key, { kind: 'expire', at, keep: true });
  }

  /** Makes a last attempt at what was refused, then closes the adapter. */
  async close(): Promise<void> {
    if (this.#keptCount > 0) await this.#replay();
    const { close } = this.#tier;
    if (close === undefined) return;
    const { clock, writeTimeout } = this.#options;
    const attempt = this.#attempt('close', undefined, () => close.call(this.#tier));
    await withDeadline(clock, writeTimeout, attempt, () => new TierTimeoutError(this.name, 'close', writeTimeout)).catch(() => {});
  }

  #read(key: string): MaybePromise<Entry | undefined> {
    let result: MaybePromise<Entry | undefined>;
    try {
      result = this.#tier.get(key);
    } catch (error) {
      return this.#unreadable(key, error);
    }
    if (!isThenable(result)) return this.#accept(key, result);
    const { clock, readTimeout } = this.#options;
    const late = (): Error => new TierTimeoutError(this.name, 'get', readTimeout, key);
    return withDeadline(clock, readTimeout, result, late).then(
      (entry) => this.#accept(key, entry),
      (error: unknown) => this.#unreadable(key, error),
    );
  }

  #unreadable(key: string, error: unknown): undefined {
    // A payload of another version says nothing about the health of the tier.
    if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) this.#breaker.succeed();
    else this.#breaker.fail(this.#options.clock.monotonic());
    this.#options.report('get', key, error);
    return undefined;
  }

  #accept(key: string, entry: Entry | undefined): Entry | undefined {
    this.#breaker.succeed();
    if (entry === undefined) return undefined;
    if (!isEntry(entry)) {
      this.#options.report('get', key, misuse(`result of ${this.name}.get`, 'an entry or undefined', entry));
      return undefined;
    }
    if (entry.startedAt <= this.#distrustUntil) return undefined;
    // A write may have been wished while the tier was being read; what it will hold is what counts.
    const intent = this.#slots.get(key)?.intent;
    if (intent?.kind === 'remove') return undefined;
    if (intent?.kind === 'put') return intent.entry;
    return intent === undefined ? entry : expiredAt(entry, intent.at);
  }

  /** The read that finds out whether a failing tier is back: first what it missed, then the key. */
  async #probe(key: string): Promise<Entry | undefined> {
    if (this.#keptCount > 0 && !(await this.#replay())) return undefined;
    return this.#read(key);
  }

  #intend(key: string, wish: Intent, after?: Promise<unknown>): Promise<boolean> {
    const previous = this.#slots.get(key);
    if (previous === undefined && this.#slots.size >= MOST_SLOTS) {
      // The tier hangs. A result worth only a try is let go; anything else no longer fits in by single keys.
      if (!wish.keep) return Promise.resolve(false);
      this.#distrustEverything();
    }
    const intent = merge(previous?.intent, wish);
    const slot = previous ?? { intent, chain: Promise.resolve(false), kept: false };
    if (previous === undefined) this.#slots.set(key, slot);
    this.#unkeep(slot);
    slot.intent = intent;
    const before = after === undefined ? slot.chain : Promise.all([slot.chain, after]);
    const { clock, writeTimeout } = this.#options;
    let release!: (held: boolean) => void;
    const answer = new Promise<boolean>((resolve) => {
      release = resolve;
    });
    const run = (): Promise<boolean> => {
      if (slot.intent !== intent) return Promise.resolve(false);
      return this.#fulfil(key, slot, intent);
    };
    slot.chain = before.then(run, run);
    // The chain waits for the storage however long it takes, to keep the order. The caller does not.
    const cancel = clock.after(writeTimeout, () => release(false));
    void slot.chain.then((held) => {
      cancel();
      release(held);
    });
    return answer;
  }

  async #fulfil(key: string, slot: Slot, intent: Intent): Promise<boolean> {
    if (this.#breaker.admit(this.#options.clock.monotonic()) === 'open') {
      this.#refused(key, slot, intent);
      return false;
    }
    const outcome = await this.#attempt(operationOf(intent), key, () => this.#apply(key, intent));
    if (slot.intent !== intent) return outcome.held;
    if (!outcome.done) this.#refused(key, slot, intent);
    else if (this.#slots.get(key) === slot) this.#slots.delete(key);
    if (outcome.done) this.#sweepSometimes();
    return outcome.held;
  }

  async #apply(key: string, intent: Intent): Promise<boolean | void> {
    const tier = this.#tier;
    if (intent.kind === 'remove') return await tier.delete(key);
    // What must replace the stored entry does so even if that one claims to be newer.
    if (intent.kind === 'put') return await this.#store(key, intent.entry, intent.keep);
    const entry = await tier.get(key);
    if (!isEntry(entry) || entry.freshUntil <= intent.at) return entry !== undefined;
    await this.#store(key, expiredAt(entry, intent.at), false);
    return true;
  }

  async #store(key: string, entry: Entry, always: boolean): Promise<void> {
    if (always || this.#tier.setIfNewer === undefined) await this.#tier.set(key, entry, entry.errorUntil);
    else await this.#tier.setIfNewer(key, entry, entry.errorUntil);
  }

  /**
   * Runs one operation and tells how it went, never rejecting. Resolves when the operation is really over: the deadline
   * only decides whether it counts as failed.
   */
  async #attempt(operation: string, key: string | undefined, run: () => MaybePromise<boolean | void>): Promise<{ done: boolean; held: boolean }> {
    const { clock, writeTimeout, report } = this.#options;
    let overdue = false;
    const cancel = clock.after(writeTimeout, () => {
      overdue = true;
      this.#breaker.fail(clock.monotonic());
      report(operation, key, new TierTimeoutError(this.name, operation, writeTimeout, key));
    });
    try {
      const held = await run();
      if (!overdue) this.#breaker.succeed();
      return { done: true, held: held === true };
    } catch (error) {
      if (!overdue) {
        this.#breaker.fail(clock.monotonic());
        report(operation, key, error);
      }
      return { done: false, held: false };
    } finally {
      cancel();
    }
  }

  /** Keeps for a replay what must reach the tier, and drops what was only worth a try. */
  #refused(key: string, slot: Slot, intent: Intent): void {
    if (this.#slots.get(key) !== slot) return;
    if (!intent.keep) {
      this.#slots.delete(key);
      return;
    }
    if (intent.kind === 'put') slot.intent = { kind: 'remove', keep: true };
    slot.kept = true;
    this.#keptCount += 1;
    this.#replayAt = this.#options.clock.monotonic() + REPLAY_PAUSE;
    if (this.#keptCount > MOST_KEPT) this.#distrustEverything();
  }

  /** Gives up remembering single keys: from now on nothing stored before this moment is believed. */
  #distrustEverything(): void {
    this.#distrustUntil = this.#options.clock.now();
    this.#slots.clear();
    this.#keptCount = 0;
  }

  #unkeep(slot: Slot): void {
    if (!slot.kept) return;
    slot.kept = false;
    this.#keptCount -= 1;
  }

  #replaySoon(): void {
    if (this.#keptCount === 0 || this.#replaying !== undefined || this.#options.clock.monotonic() < this.#replayAt) return;
    this.#options.background(this.#replay().then(() => {}));
  }

  /** Tries everything that was refused once more. Resolves with whether nothing is left. */
  #replay(): Promise<boolean> {
    return (this.#replaying ??= this.#replayKept().finally(() => {
      this.#replaying = undefined;
    }));
  }

  async #replayKept(): Promise<boolean> {
    const kept = [...this.#slots].filter(([, slot]) => slot.kept);
    for (let start = 0; start < kept.length; start += REPLAY_AT_ONCE) {
      const outcomes = await Promise.all(kept.slice(start, start + REPLAY_AT_ONCE).map(([key, slot]) => this.#replayOne(key, slot)));
      if (outcomes.includes(false)) return false;
    }
    return true;
  }

  async #replayOne(key: string, slot: Slot): Promise<boolean> {
    if (!slot.kept) return true;
    const { intent } = slot;
    const { clock, writeTimeout } = this.#options;
    const attempt = this.#attempt(operationOf(intent), key, () => this.#apply(key, intent)).then(({ done }) => {
      // A newer wish for the key meanwhile runs by itself.
      if (done && slot.intent === intent && this.#slots.get(key) === slot) {
        this.#unkeep(slot);
        this.#slots.delete(key);
      }
      return done;
    });
    slot.chain = attempt.then(() => false);
    return withDeadline(clock, writeTimeout, attempt, () => new TierTimeoutError(this.name, 'replay', writeTimeout, key)).catch(() => false);
  }

  #sweepSometimes(): void {
    const { sweep } = this.#tier;
    this.#writes += 1;
    if (sweep === undefined || this.#writes % SWEEP_EVERY !== 0) return;
    const work = this.#attempt('sweep', undefined, async () => void (await sweep.call(this.#tier, this.#options.clock.now(), SWEEP_LIMIT)));
    this.#options.background(work.then(() => {}));
  }
}

/** What storage is to hold when `wish` follows `pending`, which has not been confirmed. */
function merge(pending: Intent | undefined, wish: Intent): Intent {
  if (pending === undefined) return wish;
  if (wish.kind === 'put') return { ...wish, keep: wish.keep || pending.keep };
  if (wish.kind === 'remove' || pending.kind === 'remove') return { kind: 'remove', keep: true };
  if (pending.kind === 'put') return { kind: 'put', entry: expiredAt(pending.entry, wish.at), keep: true };
  return { kind: 'expire', at: Math.min(pending.at, wish.at), keep: true };
}

function operationOf(intent: Intent): string {
  return intent.kind === 'remove' ? 'delete' : 'set';
}

function isThenable<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function withDeadline<T>(clock: Clock, ms: number, work: PromiseLike<T>, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(ms, () => reject(late()));
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}
