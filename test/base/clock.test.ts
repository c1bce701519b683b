import { afterEach, describe, expect, test, vi } from 'vitest';

import { afterAwaited, systemClock, turnClock, type TurnClock } from '../../src/base/clock.js';
import { manualClock } from '../../src/testing/index.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

interface FakeTimer {
  readonly run: () => void;
  readonly delay: number;
  unrefs: number;
  cleared: boolean;
}

/** The platform's timers, fired by the test. `asNumbers` as in a browser. */
function fakeTimers({ asNumbers = false } = {}): FakeTimer[] {
  const timers: FakeTimer[] = [];
  vi.stubGlobal('setTimeout', (run: () => void, delay: number) => {
    const timer: FakeTimer = { run, delay, unrefs: 0, cleared: false };
    timers.push(timer);
    return asNumbers ? timers.length : { timer, unref: () => (timer.unrefs += 1) };
  });
  vi.stubGlobal('clearTimeout', (handle: number | { readonly timer: FakeTimer }) => {
    const timer = typeof handle === 'number' ? timers[handle - 1] : handle.timer;
    timer!.cleared = true;
  });
  return timers;
}

describe('the system clock', () => {
  test('tells the time of the platform', () => {
    vi.spyOn(Date, 'now').mockReturnValue(42);
    const before = performance.now();
    const monotonic = systemClock.monotonic();
    vi.spyOn(Math, 'random').mockReturnValue(0.25);

    expect([systemClock.now(), systemClock.random()]).toEqual([42, 0.25]);
    expect(monotonic).toBeGreaterThanOrEqual(before);
    expect(systemClock.monotonic() - monotonic).toBeLessThan(10_000);
  });

  test('does not run ahead with timers of the platform that fire a fraction early', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    const before = systemClock.monotonic();

    // By this clock, it fires a whole millisecond early.
    await new Promise<void>((resolve) => {
      systemClock.after(1, resolve);
    });

    expect(systemClock.monotonic()).toBe(before);
  });

  test('calls back once, after the time asked for', async () => {
    const started = performance.now();
    let calls = 0;

    await new Promise<void>((resolve) => {
      systemClock.after(5, () => {
        calls += 1;
        resolve();
      });
      // Its own timer keeps no process alive, and so no test either.
      setTimeout(() => {}, 1_000).unref();
    });

    expect(calls).toBe(1);
    expect(performance.now() - started).toBeGreaterThanOrEqual(4);
  });

  test('keeps no process alive: every timer it sets is unref’d', () => {
    const timers = fakeTimers();

    systemClock.after(10_000_000_000, () => {});
    timers[0]!.run();

    expect(timers.map(({ unrefs }) => unrefs)).toEqual([1, 1]);
  });

  test('keeps it alive for a timer that somebody waits for', () => {
    const timers = fakeTimers();

    afterAwaited(systemClock, 10, () => {});

    expect(timers[0]!.unrefs).toBe(0);
  });

  test('gets along with platforms whose timers are numbers', () => {
    const timers = fakeTimers({ asNumbers: true });
    const run = vi.fn<() => void>();

    const cancel = systemClock.after(10, run);
    timers[0]!.run();
    cancel();

    expect(run).toHaveBeenCalledOnce();
    expect(timers[0]!.cleared).toBe(true);
  });

  test('takes delays beyond 2^31 ms, in parts that the platform takes', () => {
    const timers = fakeTimers();
    const run = vi.fn<() => void>();

    systemClock.after(2_147_483_647 * 2 + 5, run);
    timers[0]!.run();
    timers[1]!.run();
    const before = run.mock.calls.length;
    timers[2]!.run();

    expect(timers.map(({ delay }) => delay)).toEqual([2_147_483_647, 2_147_483_647, 5]);
    expect([before, run.mock.calls.length]).toEqual([0, 1]);
  });

  test('cancels in whichever part it is', () => {
    const timers = fakeTimers();

    const cancel = systemClock.after(2_147_483_647 + 5, () => {});
    timers[0]!.run();
    cancel();

    expect(timers.map(({ cleared }) => cleared)).toEqual([false, true]);
  });

  test('after Infinity sets no timer', () => {
    const timers = fakeTimers();

    systemClock.after(Infinity, () => {})();

    expect(timers).toEqual([]);
  });
});

describe('the clock of a turn', () => {
  function burn(ms: number): void {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }

  /** Reads until the clock keeps its reading, in this turn. A slow machine may need more than 16 reads for that. */
  function readUntilKept(clock: TurnClock): boolean {
    for (let tries = 0; tries < 100; tries += 1) {
      for (let reads = 0; reads < 100; reads += 1) clock.now();
      burn(3);
      if (clock.now() < Date.now() - 1) return true;
    }
    return false;
  }

  test('keeps its reading while a turn is busy, and for no more than 1,000 reads', () => {
    const clock = turnClock(systemClock);

    expect(readUntilKept(clock)).toBe(true);
    burn(5);
    for (let reads = 0; reads < 1_000; reads += 1) clock.now();

    expect(clock.now()).toBeGreaterThanOrEqual(Date.now() - 3);
  });

  test('never hands out the reading of an earlier turn', async () => {
    const clock = turnClock(systemClock);
    expect(readUntilKept(clock)).toBe(true);

    await new Promise((resolve) => setImmediate(resolve));
    const now = Date.now();

    expect(clock.now()).toBeGreaterThanOrEqual(now);
  });

  test('reads the platform each time while a test sets the time', () => {
    const clock = turnClock(systemClock);
    readUntilKept(clock);
    const time = { is: 5_000 };
    vi.spyOn(Date, 'now').mockImplementation(() => time.is);

    for (let reads = 0; reads < 100; reads += 1) expect(clock.now()).toBe(5_000);
    time.is = 9_000;

    expect(clock.now()).toBe(9_000);
  });

  test('tells when the wall clock was set back, and where it was', () => {
    const time = { is: 1_000 };
    vi.spyOn(Date, 'now').mockImplementation(() => time.is);
    const told: number[] = [];
    const clock = turnClock(systemClock, (latest) => told.push(latest));

    for (const is of [1_000, 5_000, 5_000, 2_000, 2_000]) {
      time.is = is;
      clock.now();
    }

    expect(told).toEqual([5_000]);
  });

  test('of any other clock tells that it was set back, too', () => {
    const told: number[] = [];
    const clock = manualClock({ now: 5_000 });
    const turn = turnClock(clock, (latest) => told.push(latest));

    turn.now();
    clock.jump(-1_000);

    expect([turn.now(), turn.now(), told]).toEqual([4_000, 4_000, [5_000]]);
  });

  test('any other clock is read each time', () => {
    const clock = manualClock();

    expect(turnClock(clock)).toBe(clock);
  });

  test('on Workers, where nothing may cross requests, the platform is read each time', () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' });

    expect(turnClock(systemClock)).toBe(systemClock);
  });
});
