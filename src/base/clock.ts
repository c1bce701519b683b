import type { Clock } from '../contracts.js';

/** The longest delay that platforms' timers take; longer ones overflow and fire at once. */
const LONGEST_TIMER = 2_147_483_647;

/** The platform's own clocks, timers and randomness. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  after(ms, run) {
    if (ms === Infinity) return () => {};
    const delay = Math.min(ms, LONGEST_TIMER);
    let cancel = (): void => clearTimeout(timer as number);
    const timer = setTimeout(() => {
      if (delay === ms) run();
      else cancel = systemClock.after(ms - delay, run);
    }, delay) as Timer;
    if (typeof timer === 'object') timer.unref?.();
    return () => cancel();
  },
};

/** Node's timers are objects that can be unref'd, a browser's are numbers. */
type Timer = number | { unref?(): void };

const realTimeout = setTimeout;

/** Resolves after `ms` milliseconds of real time, also under a test runner's fake timers. Keeps the process alive. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    realTimeout(resolve, ms);
  });
}

/** A reading of the wall clock for the hot path, at most one turn of the event loop or 1,000 reads old. */
export interface TurnClock {
  now(): number;
}

/** So many readings of one and the same millisecond make it worth keeping the reading for the rest of the turn. */
const BUSY = 16;
const READS_PER_READING = 1_000;

/** Told of a reading after which the wall clock was set back. */
type SetBack = (latest: number) => void;

/**
 * Wraps the system clock so that a busy turn of the event loop reads it once; any other clock is read each time.
 *
 * Platforms without `setImmediate`, and Workers, where nothing may cross requests, always read directly. `setBack` is called
 * within the first reading that is earlier than the one before it.
 */
export function turnClock(clock: Clock, setBack?: SetBack): TurnClock {
  const schedule = endOfTurn();
  if (clock === systemClock && schedule !== undefined) return new BusyClock(schedule, setBack);
  return setBack === undefined ? clock : new WatchedClock(clock, setBack);
}

/** Compares each reading with the one before. */
class WatchedClock implements TurnClock {
  readonly #clock: Clock;
  readonly #setBack: SetBack;
  #reading = -Infinity;

  constructor(clock: Clock, setBack: SetBack) {
    this.#clock = clock;
    this.#setBack = setBack;
  }

  now(): number {
    const now = this.#clock.now();
    if (now < this.#reading) this.#setBack(this.#reading);
    this.#reading = now;
    return now;
  }
}

/**
 * Keeps a reading while a turn is busy. A quiet process never pays for that: only after {@link BUSY} readings of one
 * same millisecond is the end of the turn waited for.
 */
class BusyClock implements TurnClock {
  readonly #schedule: (run: () => void) => void;
  readonly #setBack: SetBack | undefined;
  readonly #turnEnded = (): void => {
    this.#keeping = false;
    this.#usesLeft = 0;
  };
  #reading = 0;
  #usesLeft = 0;
  #streak = 0;
  #keeping = false;

  constructor(schedule: (run: () => void) => void, setBack: SetBack | undefined) {
    this.#schedule = schedule;
    this.#setBack = setBack;
  }

  now(): number {
    if (this.#usesLeft > 0) {
      this.#usesLeft -= 1;
      return this.#reading;
    }
    return this.#read();
  }

  #read(): number {
    const now = Date.now();
    if (now < this.#reading) this.#setBack?.(this.#reading);
    this.#streak = now === this.#reading ? this.#streak + 1 : 0;
    this.#reading = now;
    if (!this.#keeping && this.#streak >= BUSY) {
      this.#keeping = true;
      this.#schedule(this.#turnEnded);
    }
    if (this.#keeping) this.#usesLeft = READS_PER_READING - 1;
    return now;
  }
}

/**
 * Resolves when the platform has handed out what had arrived by now: at the end of the turn of the event loop, or at
 * once where there is no way to know.
 */
export function nextTurn(): Promise<void> {
  const schedule = endOfTurn();
  return schedule === undefined ? Promise.resolve() : new Promise(schedule);
}

function endOfTurn(): ((run: () => void) => void) | undefined {
  const platform = globalThis as { setImmediate?: (run: () => void) => unknown; navigator?: { userAgent?: string } };
  const { setImmediate } = platform;
  if (typeof setImmediate !== 'function' || platform.navigator?.userAgent === 'Cloudflare-Workers') return undefined;
  return (run) => void setImmediate(run);
}
