import { pauseAfter } from '../base/backoff.js';
import { copyOf } from '../base/copy.js';
import { isThenable } from '../base/promises.js';
import { isError } from '../base/realm.js';
import type { DeadReason, QueuedWrite } from '../contracts.js';
import { misuse } from '../errors.js';
import type { DeliveryParts } from './delivery-parts.js';
import { isFull } from './full.js';
import type { Held } from './lanes.js';
import { isolated, toPendingWrite } from './pending-write.js';
import type { WriteOutcome } from './write-options.js';

/** A write that is over, which the queue has yet to learn. */
interface Verdict {
  readonly held: Held;
  /** The dead letter; `undefined` if the write was delivered, or given up for the remote value. */
  readonly dead: QueuedWrite | undefined;
  readonly remote: boolean;
}

/** Decides what becomes of writes after a delivery: over, tried again, changed, or dead letters. */
export class Verdicts<V> {
  readonly #parts: DeliveryParts<V>;
  #verdicts: Verdict[] = [];
  /** Whether the queue could not even forget, since it is full: writes of other keys go on all the same. */
  #isFull = false;
  /** Calls of {@link clear}. */
  #discards = 0;

  constructor(parts: DeliveryParts<V>) {
    this.#parts = parts;
  }

  /** Whether the queue has yet to learn of a verdict. */
  get pending(): boolean {
    return this.left && !this.#isFull;
  }

  /** The same, also for what a full queue could not learn. */
  get left(): boolean {
    return this.#verdicts.length > 0;
  }

  /** Lets a full queue be told again. */
  retry(): void {
    this.#isFull = false;
  }

  /** Forgets what the queue has yet to learn: all of it was given up. */
  clear(): void {
    this.#verdicts = [];
    this.#discards += 1;
  }

  /** Notes the sink's outcome for `held`, and returns its error, if any. */
  judge(held: Held, outcome: WriteOutcome<V>): unknown {
    held.lane.alone = false;
    if (outcome === 'ok') {
      this.#verdicts.push({ held, dead: undefined, remote: false });
      return undefined;
    }
    if (outcome === 'retry' || isError(outcome)) {
      const error = outcome === 'retry' ? new Error('the sink asked for a retry') : outcome;
      this.#again(held, error);
      return error;
    }
    if ('reject' in outcome) {
      this.#bury(held, 'rejected', outcome.reject);
      return new Error(outcome.reject);
    }
    return this.#conflict(held, outcome.conflict, outcome.at);
  }

  /** Notes that a batch failed as a whole; `alone` if `held` was its only write. */
  failed(held: Held, error: unknown, alone: boolean): void {
    const { lane } = held;
    lane.alone = alone;
    if (this.#isExhausted(held, error, alone)) return;
    lane.busy = false;
    if (!alone) return;
    const { clock, retry } = this.#parts.settings;
    lane.failures += 1;
    lane.notBefore = clock.monotonic() + pauseAfter(lane.failures, retry, clock);
    // Otherwise it would go first again when the pause for all is over.
    this.#parts.lanes.putLast(lane);
  }

  /** Makes `held` wait for its next try. Returns the epoch millisecond of that. */
  postpone({ lane }: Held): number {
    const { clock, retry } = this.#parts.settings;
    lane.busy = false;
    lane.failures += 1;
    // Rounded up to a grid, so that writes that failed together are tried together.
    const grid = retry.initial / 4;
    const notBefore = clock.monotonic() + pauseAfter(lane.failures, retry, clock);
    lane.notBefore = Math.ceil(notBefore / grid) * grid;
    return clock.now() + lane.notBefore - clock.monotonic();
  }

  /**
   * Tells the queue which writes are over. Resolves to whether delivery may go on: it knows them all now, or is full.
   *
   * The next write of a key waits for that: after a crash, the first one must not be delivered again behind the second.
   */
  async store(): Promise<boolean> {
    const verdicts = this.#verdicts;
    const discards = this.#discards;
    this.#verdicts = [];
    const stored = verdicts.map(({ held, dead }) => {
      if (dead === undefined) held.done = true;
      else held.write = dead;
      return this.#parts.journal.write(held);
    });
    const results = stored.every((answer) => answer === undefined) ? undefined : await Promise.allSettled(stored);
    for (const [index, verdict] of verdicts.entries()) {
      const result = results?.[index];
      if (result?.status !== 'rejected') this.#over(verdict);
      else if (discards === this.#discards) {
        this.#verdicts.push(verdict);
        this.#isFull = isFull(result.reason);
      }
    }
    return !this.pending;
  }

  #over({ held, dead, remote }: Verdict): void {
    const { lanes, events, freed, outdate } = this.#parts;
    const { key, attempts } = held.write;
    lanes.finish(held);
    if (remote || dead !== undefined) outdate(key);
    // Emitted only now: a listener that reads again must not find the write that lost among the pending ones.
    if (remote) events.emit({ type: 'conflict', key, id: toPendingWrite(held.write).id, resolution: 'remote' });
    if (dead?.dead !== undefined && events.wants('dead-letter'))
      events.emit({ type: 'dead-letter', key, id: toPendingWrite(dead).id, reason: dead.dead.reason });
    if (dead === undefined && !remote && events.wants('deliver'))
      events.emit({ type: 'deliver', key, id: toPendingWrite(held.write).id, attempts });
    if (lanes.size === 0) events.emit({ type: 'drain' });
    freed();
  }

  #bury(held: Held, cause: DeadReason['cause'], reason: string): void {
    const dead = { ...held.write, dead: { cause, reason, at: this.#parts.settings.clock.now() } };
    this.#verdicts.push({ held, dead, remote: false });
  }

  #again(held: Held, error: unknown): void {
    if (this.#isExhausted(held, error, true)) return;
    const retryAt = this.postpone(held);
    const { events } = this.#parts;
    if (!events.wants('retry')) return;
    const { id, key, attempts } = toPendingWrite(held.write);
    events.emit({ type: 'retry', key, id, attempts, retryAt, error });
  }

  /**
   * Makes `held` a dead letter if it has been tried often or long enough, and tells whether it did.
   *
   * The number of attempts decides only if this failure was the write's own: another write may have spoilt the batch.
   */
  #isExhausted(held: Held, error: unknown, isOwn: boolean): boolean {
    const { clock, retry, retryFor } = this.#parts.settings;
    const now = clock.monotonic();
    const triedFor = held.write.triedFor + now - (held.triedSince ?? now);
    held.write = { ...held.write, triedFor };
    held.triedSince = now;
    const { attempts } = held.write;
    if ((!isOwn || attempts < retry.attempts) && triedFor < retryFor) return false;
    this.#bury(held, 'exhausted', `not taken in ${attempts} attempts; last error: ${messageOf(error)}`);
    return true;
  }

  #conflict(held: Held, remote: V, remoteAt: number | undefined): unknown {
    const { resolve } = this.#parts.settings;
    const { write } = held;
    if (resolve === undefined) {
      if (remoteAt === undefined) {
        this.#bury(held, 'conflict', 'the sink holds another value, and there is no `resolve`');
        return new Error('conflict without `resolve`');
      }
      // Last write wins.
      if (write.at >= remoteAt) this.#goOn(held, write.value);
      else this.#giveUp(held);
      return undefined;
    }
    try {
      const own = isolated(write);
      const value: unknown = resolve(own.value as V, remote, write.key, toPendingWrite(own));
      if ((value === undefined && write.kind === 'put') || isThenable(value))
        throw misuse('result of resolve', "a value or 'remote'", value);
      if (value === 'remote') this.#giveUp(held);
      else this.#goOn(held, copyOf('result of resolve', value));
      return undefined;
    } catch (error) {
      this.#parts.events.emit({ type: 'error', source: 'resolve', error });
      this.#again(held, error);
      return error;
    }
  }

  /** Drops the write in favour of the value that the sink holds. */
  #giveUp(held: Held): void {
    this.#verdicts.push({ held, dead: undefined, remote: true });
  }

  /** Writes `value` instead. */
  #goOn(held: Held, value: unknown): void {
    const { lane, write } = held;
    const { id, key } = toPendingWrite(write);
    const kind = value === undefined ? 'delete' : 'put';
    // Stamps the resolved write with the decision's time, so that a sink that keeps the newest accepts it.
    const at = Math.max(write.at, this.#parts.settings.clock.now());
    held.write = { ...write, kind, value, at, revision: write.revision + 1 };
    this.#parts.outdate(key);
    const isFirst = lane.failures === 0;
    if (!isFirst && this.#isExhausted(held, new Error('the sink goes on conflicting'), true)) return;
    this.postpone(held);
    // The first conflict is answered at once. A sink that goes on conflicting is not asked again and again without pause.
    if (isFirst) lane.notBefore = 0;
    this.#parts.events.emit({ type: 'conflict', key, id, resolution: 'local' });
  }
}

function messageOf(error: unknown): string {
  try {
    return isError(error) ? error.message : String(error);
  } catch {
    return 'a reason that has no text form';
  }
}
