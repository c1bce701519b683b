import { pauseAfter } from '../base/backoff.js';
import { resolvers } from '../base/promises.js';
import type { MaybePromise, QueuedWrite } from '../contracts.js';
import type { DeliveryParts } from './delivery-parts.js';
import { Due } from './due.js';
import { isFull } from './full.js';
import type { Held } from './lanes.js';
import { readOutcomes } from './outcomes.js';
import { isolated, toPendingWrite } from './pending-write.js';
import { Verdicts } from './verdicts.js';
import { within } from './within.js';
import { DeliveryTimeoutError } from './write-errors.js';
import type { WriteOutcome } from './write-options.js';

/**
 * Delivers pending writes to the sink, one batch at a time, as long as something is due and the sink takes it.
 *
 * After a batch failed as a whole, all writes pause and batches get smaller, down to single writes. A write that fails as
 * the only one of its batch goes alone and pauses alone from then on, so that it can't hold up the others.
 */
export class Delivery<V> {
  readonly #parts: DeliveryParts<V>;
  readonly #due: Due;
  readonly #verdicts: Verdicts<V>;
  /** Writes up to this sequence are due. */
  #goal = -1;
  /** The current bound on a batch, at most `maxBatch`. */
  #limit: number;
  /** Batches in a row that failed as a whole. */
  #failures = 0;
  /** Monotonic milliseconds; 0 for no pause. */
  #pausedUntil = 0;
  /** When everything becomes due, monotonic milliseconds. */
  #windowEnd = Infinity;
  #collecting = false;
  /** Writes accepted since everything last became due, coalesced ones not counted. */
  #fresh = 0;
  /** Number of calls of {@link deliver}. */
  #demands = 0;
  #passing: Promise<void> | undefined;
  #halted = false;
  /** Calls of {@link discard}. */
  #discards = 0;
  /** Ends the wait for the sink; set while a batch is under way. */
  #abandon: ((reason: unknown) => void) | undefined;
  inFlight = 0;
  lastError: unknown;
  /** Epoch milliseconds. */
  lastDeliveryAt: number | undefined;

  constructor(parts: DeliveryParts<V>) {
    this.#parts = parts;
    const { settings, events } = parts;
    this.#limit = settings.maxBatch;
    this.#verdicts = new Verdicts(parts);
    this.#due = new Due({
      clock: settings.clock,
      schedule: settings.schedule,
      run: () => void this.#wake(),
      failed: (error) => events.emit({ type: 'error', source: 'schedule', error }),
    });
  }

  /** Monotonic milliseconds of the next delivery; `Infinity` for none. */
  get dueAt(): number {
    return this.#due.at;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Called for every accepted write. */
  accepted(coalesced: boolean): void {
    if (!coalesced) this.#fresh += 1;
    const isFull = !coalesced && this.#fresh === this.#parts.settings.maxBatch;
    if (this.#collecting && !isFull && !this.#isForgotten) return;
    this.collect(isFull ? 0 : this.#parts.settings.flushEvery);
  }

  /** True if writes are collected and no run is planned: `schedule` failed. */
  get #isForgotten(): boolean {
    return this.#due.at === Infinity && this.#windowEnd !== Infinity && this.#passing === undefined;
  }

  /** Makes everything due in `ms` at the latest. */
  collect(ms: number): void {
    this.#collecting = true;
    this.#windowEnd = Math.min(this.#windowEnd, this.#parts.settings.clock.monotonic() + ms);
    this.#plan();
  }

  /** Tries everything accepted so far at once, despite pauses. Resolves when all was tried, or the sink failed. */
  async deliver(): Promise<void> {
    this.#raiseGoal();
    this.#demands += 1;
    this.#resume();
    await this.#drive();
  }

  /** Tries what is due, and keeps to pauses. */
  async deliverDue(): Promise<void> {
    if (this.#windowEnd <= this.#parts.settings.clock.monotonic()) this.#raiseGoal();
    await this.#drive();
  }

  /** Starts no further batch. Resolves when the one under way is over. */
  async halt(): Promise<void> {
    this.#halted = true;
    await this.#passing;
    this.#due.set(Infinity);
  }

  /** Starts no further batch, and waits no longer for the sink: aborts the signal of the batch under way. */
  abandon(reason: unknown): void {
    this.#halted = true;
    this.#due.set(Infinity);
    this.#abandon?.(reason);
  }

  /** Gives up all writes so far, which the lanes hold no more. Aborts the signal of the batch under way. */
  discard(reason: unknown): void {
    this.#discards += 1;
    this.#verdicts.clear();
    this.#raiseGoal();
    this.#pausedUntil = 0;
    this.#failures = 0;
    this.#abandon?.(reason);
    this.#plan();
  }

  async #wake(): Promise<void> {
    try {
      await this.#parts.open();
    } catch {
      // Reported by `open`.
      this.#windowEnd = Infinity;
      this.collect(this.#parts.settings.flushEvery);
      return;
    }
    await this.deliverDue();
  }

  #raiseGoal(): void {
    this.#goal = this.#parts.ids.last;
    this.#windowEnd = Infinity;
    this.#collecting = false;
    this.#fresh = 0;
  }

  #resume(): void {
    this.#pausedUntil = 0;
    this.#parts.lanes.resume();
  }

  #drive(): Promise<void> {
    return (this.#passing ??= this.#pass());
  }

  async #pass(): Promise<void> {
    // Yields, so that `#passing` is set before this ends. No await below separates the decision to stop from the end.
    await undefined;
    const { lanes, settings } = this.#parts;
    this.#due.set(Infinity);
    this.#pausedUntil = 0;
    this.#verdicts.retry();
    while (!this.#halted) {
      const demands = this.#demands;
      const tells = this.#verdicts.pending;
      const batch = tells ? [] : lanes.take(this.#limit, this.#goal, settings.clock.monotonic());
      if (!tells && batch.length === 0) break;
      // The queue learns earlier verdicts before anything more is delivered.
      if (await (tells ? this.#acknowledge() : this.#deliver(batch))) continue;
      // A `deliver` called meanwhile gets a try of its own.
      if (demands === this.#demands) break;
      this.#resume();
    }
    if (this.#verdicts.left && this.#pausedUntil === 0) this.#pause();
    this.#passing = undefined;
    this.#plan();
  }

  async #deliver(batch: readonly Held[]): Promise<boolean> {
    const { sink, clock, maxDuration } = this.#parts.settings;
    const discards = this.#discards;
    const marked = await this.#mark(batch);
    let maySend: MaybePromise<boolean> = marked.length > 0 && !this.#halted && this.#parts.confirm();
    if (typeof maySend !== 'boolean') maySend = (await maySend) && !this.#halted;
    if (discards !== this.#discards) return true;
    if (!maySend) return this.#unsent(marked);
    const writes = marked.map(({ write }) => toPendingWrite<V>(isolated(write)));
    const controller = new AbortController();
    const context = { signal: controller.signal, attempt: Math.max(...writes.map(({ attempts }) => attempts)) };
    const since = clock.monotonic();
    this.inFlight = marked.length;
    let outcomes: readonly WriteOutcome<V>[];
    const abandoned = resolvers<never>();
    this.#abandon = (reason) => {
      controller.abort(reason);
      abandoned.reject(reason);
    };
    try {
      const late = (): Error => new DeliveryTimeoutError('sink', maxDuration);
      const answer = await Promise.race([
        within(clock, maxDuration, controller, () => sink(writes, context), late),
        abandoned.promise,
      ]);
      // Not `writes`, which the sink may have emptied.
      outcomes = readOutcomes(answer, marked.length);
    } catch (error) {
      return discards !== this.#discards || (await this.#failed(marked, error, since));
    } finally {
      this.inFlight = 0;
      this.#abandon = undefined;
    }
    if (discards !== this.#discards) return true;
    return this.#answered(marked, outcomes, since);
  }

  /** Gives up a batch that the sink has not seen. */
  #unsent(batch: readonly Held[]): false {
    for (const { lane } of batch) lane.busy = false;
    return this.#pause();
  }

  /** Records in the queue that the sink may see the writes, before it does. Resolves to those that the queue recorded. */
  async #mark(batch: readonly Held[]): Promise<readonly Held[]> {
    const { journal, settings } = this.#parts;
    const now = settings.clock.monotonic();
    const stored = batch.map((held) => {
      held.triedSince ??= now;
      held.write = { ...held.write, attempts: held.write.attempts + 1 };
      return journal.write(held);
    });
    if (stored.every((answer) => answer === undefined)) return batch;
    const marked = batch.map(({ write }) => write);
    const results = await Promise.allSettled(stored);
    return batch.filter((held, index) => {
      const result = results[index];
      if (result?.status !== 'rejected') return true;
      const goes = isFull(result.reason) && goUnmarked(held, marked[index] as QueuedWrite);
      if (!goes) this.#verdicts.postpone(held);
      return goes;
    });
  }

  async #answered(batch: readonly Held[], outcomes: readonly WriteOutcome<V>[], since: number): Promise<boolean> {
    const { settings, events } = this.#parts;
    const { clock, maxBatch } = settings;
    this.#failures = 0;
    this.#limit = Math.min(maxBatch, this.#limit * 2);
    this.lastDeliveryAt = clock.now();
    for (const [index, held] of batch.entries()) {
      const error = this.#verdicts.judge(held, outcomes[index] as WriteOutcome<V>);
      if (error !== undefined) this.lastError = error;
    }
    events.emit({ type: 'batch', size: batch.length, durationMs: clock.monotonic() - since });
    return this.#acknowledge();
  }

  async #failed(batch: readonly Held[], error: unknown, since: number): Promise<boolean> {
    const { clock } = this.#parts.settings;
    const [first] = batch as [Held];
    this.lastError = error;
    if (!first.lane.alone) this.#limit = Math.max(1, batch.length >> 1);
    for (const held of batch) this.#verdicts.failed(held, error, batch.length === 1);
    this.#pause();
    this.#parts.events.emit({
      type: 'batch-error',
      size: batch.length,
      durationMs: clock.monotonic() - since,
      retryAt: clock.now() + this.#pausedUntil - clock.monotonic(),
      error,
    });
    // Some writes may have used up their retries.
    await this.#acknowledge();
    return false;
  }

  async #acknowledge(): Promise<boolean> {
    return (await this.#verdicts.store()) || this.#pause();
  }

  #pause(): false {
    const { clock, retry } = this.#parts.settings;
    this.#failures += 1;
    this.#pausedUntil = clock.monotonic() + pauseAfter(this.#failures, retry, clock);
    return false;
  }

  #plan(): void {
    if (this.#passing !== undefined || this.#halted) return;
    const { lanes } = this.#parts;
    if (this.#pausedUntil > 0) this.#due.set(this.#pausedUntil);
    else this.#due.set(Math.min(this.#windowEnd, lanes.earliestRetry));
  }
}

/**
 * Lets a write go to the sink although a full queue did not take its mark, or it could never drain. Tells whether it may.
 *
 * The queue looked at its owner before it was full. What it did not accept is not delivered, only what a conflict made of
 * it. After a crash, it comes again under the same id, and what is merged into it then has another one.
 */
function goUnmarked(held: Held, marked: QueuedWrite): boolean {
  const { stored, lane } = held;
  if (stored === undefined || held.write !== stored || !lane.held.includes(held)) return false;
  const { attempts, triedFor, revision } = marked;
  held.write = revision === stored.revision ? { ...stored, attempts, triedFor } : marked;
  return true;
}
