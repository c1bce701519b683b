import type { Clock } from '../contracts.js';

/** The longest delay that platforms' timers take; longer ones overflow and fire at once. */
const LONGEST_TIMER = 2_147_483_647;

/** A timer as late as this is a sign that the process stood still, in milliseconds. */
const LATE = 2;
/** A late timer fires once more, no later than so many milliseconds, so that what has arrived is handed out first. */
const GRACE = 25;
/** The interval, in milliseconds, at which a timer of a test runner's clock looks whether that clock is still there. */
const WATCH = 20;

// The platform's own, also while a test runner replaces them.
const { setTimeout: realTimeout, setInterval: realInterval, clearInterval: endInterval } = globalThis;
const platform = globalThis as { setImmediate?: (run: () => void) => unknown; navigator?: { userAgent?: string } };
const { setImmediate: realImmediate } = platform;
/** `undefined` where a test runner had replaced `Date.now` before this module was loaded: then no reading is kept. */
const realNow = /native code/.test(String(Date.now)) ? Date.now : undefined;

/** What the monotonic clock goes by. A test runner may replace it and take it away again. */
let source: unknown;
let offset = 0;
let latest = 0;

/** Milliseconds that never go back: where the source is replaced, they go on from the last reading. */
function monotonic(): number {
  const now: unknown = Reflect.get(performance, 'now');
  if (now !== source) {
    if (source !== undefined) offset = latest - performance.now();
    source = now;
  }
  return (latest = Math.max(latest, performance.now() + offset));
}

/**
 * A one-shot timer.
 *
 * One that is late lets the platform hand out what has arrived before: the process may have stood still (SIGSTOP, a frozen
 * Lambda) for longer than a deadline. `isAwaited`: it keeps the process alive. `hasWaited`: it is late for the second time.
 */
function after(ms: number, run: () => void, isAwaited = false, hasWaited = false): () => void {
  if (ms === Infinity) return () => {};
  const delay = Math.min(ms, LONGEST_TIMER);
  const due = monotonic() + delay;
  const { setTimeout, clearTimeout } = globalThis;
  let cancel = (): void => {
    clearTimeout(timer as number);
    endInterval(watch as number);
  };
  const timer = setTimeout(() => {
    endInterval(watch as number);
    const late = monotonic() - due;
    // A test runner's timer may run ahead of the clock, which then follows. One of the platform is early by a fraction.
    if (late < 0 && setTimeout !== realTimeout) offset -= late;
    if (delay < ms) cancel = after(ms - delay, run, isAwaited);
    else if (late > LATE && !hasWaited) cancel = after(Math.min(late, GRACE), run, isAwaited, true);
    else run();
  }, delay) as Timer;
  // With its clock, a test runner takes away the timers, too.
  const watch =
    setTimeout === realTimeout
      ? undefined
      : (realInterval(() => {
          if (globalThis.setTimeout === setTimeout) return;
          endInterval(watch as number);
          cancel = after(Math.max(0, due - monotonic()) + ms - delay, run, isAwaited);
        }, WATCH) as Timer);
  for (const one of [isAwaited ? undefined : timer, watch]) if (typeof one === 'object') one.unref?.();
  return () => cancel();
}

/** The platform's own clocks, timers and randomness. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic,
  random: () => Math.random(),
  after: (ms, run) => after(ms, run),
};

/** A timer that somebody waits for: with the system's clock, it keeps the process alive. */
export function afterAwaited(clock: Clock, ms: number, run: () => void): void {
  if (clock === systemClock) after(ms, run, true);
  else clock.after(ms, run);
}

/** An identity of the timers in use: it changes when a test runner replaces the platform's. */
export function timersOf(clock: Clock): unknown {
  return clock === systemClock ? setTimeout : clock;
}

/** Node's timers are objects that can be unref'd, a browser's are numbers. */
type Timer = number | { unref?(): void };

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
    if (this.#usesLeft > 0 && Date.now === realNow) {
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
    // A test sets the time whenever it wants.
    if (Date.now !== realNow) return now;
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
  if (typeof realImmediate !== 'function' || platform.navigator?.userAgent === 'Cloudflare-Workers') return undefined;
  return (run) => void realImmediate(run);
}
