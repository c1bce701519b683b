import type { Clock } from '../contracts.js';
import type { Alarms } from './alarms.js';
import type { DurableStorage } from './durable-storage.js';

/** What upkeep needs of its object. */
export interface Kept {
  readonly clock: Clock;
  readonly idleTtl: number;
  readonly sweepEvery: number;
  readonly storage: DurableStorage;
  /** Whether a request or a load is under way, or a write has not been delivered. */
  readonly isBusy: () => boolean;
  /** Deletes all that the object stores, and forgets all that it holds. */
  readonly deleteAll: () => Promise<void>;
}

const SWEEP = 'soloflight:sweep';
const IDLE = 'soloflight:idle';

/** Entries removed in one statement, and statements in one alarm; with more to remove, the next alarm is soon. */
const BATCH = 1_000;
const BATCHES = 10;
const SOON = 1_000;

/** Share of `idleTtl` by which the clean-up may come late: so much rarer is its due time written. */
const SLACK = 1 / 16;

/** What an object does for itself, by alarm: removing outlived entries, and everything once nobody asks any more. */
export class Upkeep {
  readonly #alarms: Alarms;
  readonly #kept: () => Kept;
  /** When the next sweep is due; `undefined` while that is not known. */
  #sweepAt: number | undefined;
  /** When the object is idle unless it is asked again; `undefined` while that is not known. */
  #idleAt: number | undefined;
  #lastRequest = -Infinity;

  /** `kept` is asked each time: what it gives is made at first use, and anew after everything was deleted. */
  constructor(alarms: Alarms, kept: () => Kept) {
    this.#alarms = alarms;
    this.#kept = kept;
    alarms.on(SWEEP, () => this.#sweep());
    alarms.on(IDLE, () => this.#idle());
  }

  /** To be called for every entry written. */
  wrote(keepUntil: number): void {
    if (keepUntil === Infinity) return;
    const { clock, sweepEvery } = this.#kept();
    const at = Math.max(clock.now() + sweepEvery, keepUntil);
    this.#sweepAt ??= this.#alarms.get(SWEEP);
    // Nothing outlived is ever answered: a sweep saves space, and may come later than it could.
    if (this.#sweepAt !== undefined && this.#sweepAt <= at + sweepEvery) return;
    this.#sweepAt = at;
    this.#set(SWEEP, at);
  }

  /** To be called for every request. */
  asked(): void {
    const { clock, idleTtl } = this.#kept();
    if (idleTtl === Infinity) return;
    const now = clock.now();
    this.#lastRequest = now;
    this.#idleAt ??= this.#alarms.get(IDLE);
    if (this.#idleAt !== undefined && this.#idleAt >= now + idleTtl) return;
    this.#idleAt = now + idleTtl * (1 + SLACK);
    this.#set(IDLE, this.#idleAt);
  }

  async #sweep(): Promise<void> {
    const { clock, sweepEvery, storage } = this.#kept();
    this.#sweepAt = undefined;
    const now = clock.now();
    let batches = 0;
    while (batches < BATCHES && storage.sweep(now, BATCH) === BATCH) batches += 1;
    const next = storage.firstOutlived();
    if (next === undefined || next === Infinity) return;
    this.#sweepAt = batches === BATCHES ? now + SOON : Math.max(now + sweepEvery, next);
    await this.#alarms.set(SWEEP, this.#sweepAt);
  }

  async #idle(): Promise<void> {
    const { clock, idleTtl, isBusy, deleteAll } = this.#kept();
    const now = clock.now();
    const at = isBusy() ? now + idleTtl : this.#lastRequest + idleTtl;
    this.#idleAt = undefined;
    if (idleTtl === Infinity) return;
    if (at > now) {
      this.#idleAt = at;
      return this.#alarms.set(IDLE, at);
    }
    this.#sweepAt = undefined;
    await deleteAll();
  }

  /** Nobody waits: the platform holds answers back until what was written before them is safe. */
  #set(name: string, at: number): void {
    this.#alarms.set(name, at).catch((error: unknown) => reportError(error));
  }
}
