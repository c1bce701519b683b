import { afterEach, describe, expect, test, vi } from 'vitest';

import { systemClock, turnClock } from '../../src/base/clock.js';
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
    vi.spyOn(performance, 'now').mockReturnValue(7.5);
    vi.spyOn(Math, 'random').mockReturnValue(0.25);

    expect([systemClock.now(), systemClock.monotonic(), systemClock.random()]).toEqual([42, 7.5, 0.25]);
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
  function setup(setBack?: (latest: number) => void): {
    readonly read: (times: number) => number;
    readonly reads: () => number;
    readonly endTurn: () => void;
    readonly time: { is: number };
    readonly pending: () => number;
  } {
    const time = { is: 1_000 };
    const readings = vi.spyOn(Date, 'now').mockImplementation(() => time.is);
    const ends: (() => void)[] = [];
    vi.stubGlobal('setImmediate', (run: () => void) => ends.push(run));
    const clock = turnClock(systemClock, setBack);
    const read = (times: number): number => {
      let last = NaN;
      for (let count = 0; count < times; count += 1) last = clock.now();
      return last;
    };
    return {
      read,
      reads: () => readings.mock.calls.length,
      endTurn: () => ends.splice(0).forEach((end) => end()),
      time,
      pending: () => ends.length,
    };
  }

  test('a quiet process reads the platform each time and waits for nothing', () => {
    const { read, reads, time, pending } = setup();

    const seen: number[] = [];
    for (let ms = 0; ms < 100; ms += 1) {
      time.is += 1;
      seen.push(read(10));
    }

    expect(seen.at(-1)).toBe(time.is);
    expect(reads()).toBe(1_000);
    expect(pending()).toBe(0);
  });

  test('a busy turn reads it a few times and then no more', () => {
    const { read, reads } = setup();

    read(900);

    expect(reads()).toBeLessThan(25);
  });

  test('a turn that never ends reads it at least every 1,000 reads', () => {
    const { read, time } = setup();

    read(100);
    time.is = 5_000;

    expect(read(1_000)).toBe(5_000);
    time.is = 9_000;
    expect(read(1_000)).toBe(9_000);
  });

  test('a new turn never sees the reading of an earlier one', () => {
    const { read, time, endTurn } = setup();

    read(100);
    endTurn();
    time.is = 5_000;
    const second = read(1);
    read(100);
    endTurn();
    time.is = 4_000;

    expect(second).toBe(5_000);
    expect(read(1)).toBe(4_000);
  });

  test('tells when the wall clock was set back, and where it was', () => {
    const told: number[] = [];
    const { read, time, endTurn } = setup((latest) => told.push(latest));

    read(100);
    endTurn();
    time.is = 5_000;
    read(100);
    endTurn();
    time.is = 2_000;
    read(100);

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

  test('only one end of a turn is waited for at a time', () => {
    const { read, pending } = setup();

    read(10_000);

    expect(pending()).toBe(1);
  });

  test('any other clock is read each time', () => {
    const clock = manualClock();

    expect(turnClock(clock)).toBe(clock);
  });

  test.each([
    ['without setImmediate', () => vi.stubGlobal('setImmediate', undefined)],
    [
      'on Workers, where nothing may cross requests',
      () => vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' }),
    ],
  ])('%s the platform is read each time', (_, arrange) => {
    arrange();

    expect(turnClock(systemClock)).toBe(systemClock);
  });
});
