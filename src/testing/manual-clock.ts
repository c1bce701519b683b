import { atEndOfTurn } from '../base/turn.js';
import type { Clock } from '../contracts.js';
import { misuse } from '../errors.js';
import { TimerQueue } from './timer-queue.js';

/** Options of {@link manualClock}. */
export interface ManualClockOptions {
  /** Where the wall clock starts, epoch milliseconds. @default 1_700_000_000_000 */
  readonly now?: number;
  /** The clock's `random`. Must return numbers in [0, 1). @default () => 0.5 */
  readonly random?: () => number;
}

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Number of timers set and neither fired nor cancelled. */
  readonly pending: number;
  /**
   * Moves both clocks on by `ms`, and fires the timers that come due: in order of due time, each at its own instant, equal
   * ones in the order in which they were set. Timers set meanwhile fire, too, if they come due.
   *
   * Throws what a timer throws, with the clock standing at that timer's instant.
   */
  advance(ms: number): void;
  /** Like {@link advance}, but lets promises settle before, after and between timers, so that timers set by them are not missed. */
  advanceAsync(ms: number): Promise<void>;
  /** Sets the wall clock forward or, if negative, back. `monotonic` and the timers don't notice. */
  jump(ms: number): void;
}

const DEFAULT_NOW = 1_700_000_000_000;
/** More timers than this at one instant count as one that sets itself again and again. */
const MOST_AT_ONCE = 1_000_000;
/** Turns of the microtask queue that count as "settled". */
const TURNS = 100;
/** Batches that may wait for each other, one after another. */
const ROUNDS = 4;

/**
 * A {@link Clock} for tests.
 *
 * `monotonic()` starts at 0. No timer keeps a process alive or fires by itself.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { manualClock } from 'soloflight/testing';
 *
 * const clock = manualClock();
 * const cache = new TieredCache<string>({ ttl: '10s', upstream: (key) => key, clock });
 * await cache.get('a');
 * clock.advance(10_000);
 * console.log((await cache.lookup('a')).status); // miss
 * ```
 */
export function manualClock(options: ManualClockOptions = {}): ManualClock {
  if (typeof options !== 'object' || options === null) throw misuse('options', 'an object', options);
  const { now = DEFAULT_NOW, random = () => 0.5 } = options;
  checkFinite('now', now);
  if (typeof random !== 'function') throw misuse('random', 'a function', random);
  return new StandingClock(now, random);
}

class StandingClock implements ManualClock {
  readonly random: () => number;
  /** The time of the wall clock when `monotonic()` is 0. */
  #epoch: number;
  #elapsed = 0;
  readonly #timers = new TimerQueue();

  constructor(now: number, random: () => number) {
    this.#epoch = now;
    this.random = random;
  }

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, run: () => void): () => void {
    if (typeof ms !== 'number' || Number.isNaN(ms)) throw misuse('ms', 'a number of milliseconds', ms);
    if (typeof run !== 'function') throw misuse('run', 'a function', run);
    if (ms === Infinity) return () => {};
    const timer = this.#timers.add(this.#elapsed + Math.max(0, ms), run);
    return () => this.#timers.cancel(timer);
  }

  advance(ms: number): void {
    checkAdvance(ms);
    const end = this.#elapsed + ms;
    const fired = new FiredAtOnce();
    while (this.#fireNext(end)) fired.note(this.#elapsed);
    this.#reach(end);
  }

  async advanceAsync(ms: number): Promise<void> {
    checkAdvance(ms);
    const end = this.#elapsed + ms;
    const fired = new FiredAtOnce();
    await settled();
    while (this.#fireNext(end)) {
      fired.note(this.#elapsed);
      await settled();
    }
    this.#reach(end);
    await settled();
  }

  jump(ms: number): void {
    checkFinite('ms', ms);
    this.#epoch += ms;
  }

  /** Fires the first timer that is due by `end`, and tells whether there was one. */
  #fireNext(end: number): boolean {
    const timer = this.#timers.take(end);
    if (timer === undefined) return false;
    this.#reach(timer.due);
    timer.run();
    return true;
  }

  /** Never goes back: a timer may itself have advanced the clock further. */
  #reach(instant: number): void {
    this.#elapsed = Math.max(this.#elapsed, instant);
  }
}

/** Ends an advance that would go on for ever. */
class FiredAtOnce {
  #instant = -1;
  #count = 0;

  note(instant: number): void {
    this.#count = instant === this.#instant ? this.#count + 1 : 1;
    this.#instant = instant;
    if (this.#count > MOST_AT_ONCE)
      throw new Error(
        `More than ${MOST_AT_ONCE} timers fired at one instant. Does one set itself again without delay?`,
      );
  }
}

/**
 * Lets microtasks run, and batches that wait for the end of the turn. No macrotask: the test runner could have faked it, and it
 * could end the process if nothing else is left.
 */
async function settled(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < TURNS; turn += 1) await undefined;
    await new Promise<void>(atEndOfTurn);
  }
}

function checkAdvance(ms: number): void {
  if (!Number.isFinite(ms) || ms < 0)
    throw misuse('ms', 'a finite number ≥ 0 (to move the wall clock alone, also back, use `jump`)', ms);
}

function checkFinite(name: string, value: unknown): void {
  if (!Number.isFinite(value)) throw misuse(name, 'a finite number', value);
}
