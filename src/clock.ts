import type { Clock } from './contracts.js';

/** The longest delay that platforms' timers take; longer ones overflow and fire at once. */
const LONGEST_TIMER = 2_147_483_647;

/** The platform's own clocks, timers and randomness. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  after(ms, run) {
    if (ms === Infinity) return () => {};
    let remaining = ms;
    let timer: Timer | undefined;
    const arm = (): void => {
      const delay = Math.min(remaining, LONGEST_TIMER);
      remaining -= delay;
      timer = setTimeout(() => (remaining > 0 ? arm() : run()), delay) as Timer;
      if (typeof timer === 'object') timer.unref?.();
    };
    arm();
    return () => clearTimeout(timer as number | undefined);
  },
};

/** Node's timers are objects that can be unref'd, a browser's are numbers. */
type Timer = number | { unref?(): void };

/** A reading of the wall clock for the hot path, at most one turn of the event loop or 1,000 reads old. */
export interface TurnClock {
  now(): number;
}

/** So many readings in one and the same millisecond make it worth keeping the reading for the rest of the turn. */
const BUSY = 16;
const READS_PER_READING = 1_000;

/**
 * Wraps the system clock so that a busy turn of the event loop reads it once; any other clock is read each time.
 *
 * A quiet process never pays for it: only after {@link BUSY} readings of one same millisecond is the end of the turn
 * waited for. Platforms without `setImmediate`, and Workers, where nothing may cross requests, always read directly.
 */
export function turnClock(clock: Clock): TurnClock {
  const schedule = endOfTurn();
  if (clock !== systemClock || schedule === undefined) return clock;
  let reading = 0;
  let uses = 0;
  let kept = false;
  const forget = (): void => {
    kept = false;
    uses = 0;
  };
  return {
    now() {
      if (kept && ++uses < READS_PER_READING) return reading;
      const now = Date.now();
      if (now !== reading) uses = 0;
      else if (!kept && ++uses >= BUSY) {
        kept = true;
        schedule(forget);
      }
      if (kept) uses = 0;
      reading = now;
      return now;
    },
  };
}

function endOfTurn(): ((run: () => void) => void) | undefined {
  const platform = globalThis as { setImmediate?: (run: () => void) => { unref?(): void }; navigator?: { userAgent?: string } };
  const { setImmediate } = platform;
  if (typeof setImmediate !== 'function' || platform.navigator?.userAgent === 'Cloudflare-Workers') return undefined;
  return (run) => void setImmediate(run);
}
