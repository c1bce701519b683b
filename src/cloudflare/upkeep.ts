import type { Clock } from '../contracts.js';
import type { Alarms } from './alarms.js';
import type { DurableStorage } from './durable-storage.js';

/** The part of an object that upkeep needs. */
export interface Kept {
  readonly clock: Clock;
  readonly idleTtl: number;
  readonly sweepEvery: number;
  readonly storage: DurableStorage;
  /** Whether the object stores anything, a subclass's data included. */
  readonly isStoring: () => boolean;
  /** Whether a request or a load is under way, or a write has not been delivered. */
  readonly isBusy: () => boolean;
  /** Deletes everything that the object stores, and forgets everything in its memory. */
  readonly deleteAll: () => Promise<void>;
}

const SWEEP = 'soloflight:sweep';
const IDLE = 'soloflight:idle';

/** Entries removed per statement, and statements per alarm. If more remain, the next alarm is soon. */
const BATCH = 1_000;
const BATCHES = 10;
const SOON = 1_000;

/** The share of `idleTtl` by which the clean-up may be late. Its due time is then stored that much more rarely. */
const SLACK = 1 / 16;

/** The upkeep of an object, by alarm: removes outlived entries, and everything once requests stop coming. */
export class Upkeep {
  readonly #alarms: Alarms;
  readonly #kept: () => Kept;
  /** When the next sweep is due; `undefined` while that is not known. */
  #sweepAt: number | undefined;
  /** When the object is idle if no further request comes; `undefined` while that is not known. */
  #idleAt: number | undefined;
  #lastRequest = -Infinity;

  /** `kept` is called each time: its result is made at first use, and anew after everything was deleted. */
  constructor(alarms: Alarms, kept: () => Kept) {
    this.#alarms = alarms;
    this.#kept = kept;
    alarms.on(SWEEP, () => this.#sweep());
    alarms.on(IDLE, () => this.#idle());
  }

  /** Must be called for every entry written. */
  wrote(keepUntil: number): void {
    this.asked();
    if (keepUntil === Infinity) return;
    const { clock, sweepEvery } = this.#kept();
    const at = Math.max(clock.now() + sweepEvery, keepUntil);
    this.#sweepAt ??= this.#alarms.get(SWEEP);
    // Outlived entries are never served. A sweep only saves space, so it may come later than it could.
    if (this.#sweepAt !== undefined && this.#sweepAt <= at + sweepEvery) return;
    this.#sweepAt = at;
    this.#set(SWEEP, at);
  }

  /** Must be called for every request. An object that stores nothing needs no clean-up, and is not to store an alarm either. */
  asked(): void {
    const { clock, idleTtl, isStoring } = this.#kept();
    if (idleTtl === Infinity) return;
    const now = clock.now();
    this.#lastRequest = now;
    this.#idleAt ??= this.#alarms.get(IDLE);
    if (this.#idleAt !== undefined && this.#idleAt >= now + idleTtl) return;
    if (!isStoring()) return;
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

  /** Nobody awaits this: the platform holds answers back until earlier writes to the storage are safe. */
  #set(name: string, at: number): void {
    this.#alarms.set(name, at).catch((error: unknown) => reportError(error));
  }
}
