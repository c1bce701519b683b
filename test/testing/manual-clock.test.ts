import { describe, expect, test } from 'vitest';

import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** A clock, and a log of which timer fired when. */
function setup(clock: ManualClock = manualClock()) {
  const log: string[] = [];
  const note = (name: string) => () => void log.push(`${name} at ${clock.monotonic()}`);
  return { clock, log, note };
}

describe('a manual clock', () => {
  test('starts at a fixed instant and stands still', () => {
    const clock = manualClock();

    expect([clock.now(), clock.monotonic(), clock.random(), clock.pending]).toEqual([1_700_000_000_000, 0, 0.5, 0]);
    expect(clock.now()).toBe(1_700_000_000_000);
  });

  test('starts where it is told, with the chance it is given', () => {
    const numbers = [0, 0.25, 0.99];
    const clock = manualClock({ now: 5, random: () => numbers.shift()! });

    expect(clock.now()).toBe(5);
    expect([clock.random(), clock.random(), clock.random()]).toEqual([0, 0.25, 0.99]);
  });

  test('moves both clocks on when advanced, and the wall clock alone when it jumps', () => {
    const { clock, log, note } = setup();
    clock.after(50, note('timer'));

    clock.advance(10.5);
    expect([clock.now(), clock.monotonic()]).toEqual([1_700_000_000_010.5, 10.5]);
    clock.jump(60_000);
    clock.jump(-3_600_000);
    expect([clock.now(), clock.monotonic()]).toEqual([1_700_000_000_010.5 - 3_540_000, 10.5]);
    expect(log).toEqual([]);
    clock.advance(39.5);
    expect(log).toEqual(['timer at 50']);
  });
});

describe('timers', () => {
  test('fire in order of due time, each at its own instant, equal ones in the order they were set', () => {
    const { clock, log, note } = setup();
    clock.after(30, note('late'));
    clock.after(10, note('first'));
    clock.after(20, note('b'));
    clock.after(20, note('c'));

    clock.advance(19);
    expect(log).toEqual(['first at 10']);
    clock.advance(1);
    expect(log).toEqual(['first at 10', 'b at 20', 'c at 20']);
    clock.advance(100);
    expect(log.at(-1)).toBe('late at 30');
    expect(clock.monotonic()).toBe(120);
  });

  test('see the wall clock of their own instant', () => {
    const clock = manualClock({ now: 1_000 });
    const seen: number[] = [];
    clock.after(5, () => seen.push(clock.now()));
    clock.after(7, () => seen.push(clock.now()));

    clock.advance(10);

    expect(seen).toEqual([1_005, 1_007]);
  });

  test('set while others fire are fired too when they come due, and wait otherwise', () => {
    const { clock, log, note } = setup();
    clock.after(10, () => {
      note('outer')();
      clock.after(5, note('inner'));
      clock.after(0, note('at once'));
      clock.after(11, note('later'));
    });
    clock.after(12, note('between'));

    clock.advance(20);

    expect(log).toEqual(['outer at 10', 'at once at 10', 'between at 12', 'inner at 15']);
    expect(clock.pending).toBe(1);
  });

  test('can be cancelled: before, twice, after firing, and by another timer', () => {
    const { clock, log, note } = setup();
    const cancelled = clock.after(10, note('cancelled'));
    const fired = clock.after(10, note('fired'));
    const byOther = clock.after(20, note('cancelled by another'));
    clock.after(15, byOther);
    expect(clock.pending).toBe(4);

    cancelled();
    cancelled();
    expect(clock.pending).toBe(3);
    clock.advance(30);
    fired();
    byOther();

    expect(log).toEqual(['fired at 10']);
    expect(clock.pending).toBe(0);
  });

  test('of no time or less fire at the next advance, not before', () => {
    const { clock, log, note } = setup();
    clock.advance(5);
    clock.after(0, note('none'));
    clock.after(-100, note('less'));

    expect(log).toEqual([]);
    clock.advance(0);
    expect(log).toEqual(['none at 5', 'less at 5']);
  });

  test('of any length work, and of Infinity never fire', () => {
    const { clock, log, note } = setup();
    clock.after(2 ** 40, note('far'));
    const cancel = clock.after(Infinity, note('never'));

    expect(clock.pending).toBe(1);
    clock.advance(2 ** 40);
    cancel();

    expect(log).toEqual([`far at ${2 ** 40}`]);
  });

  test('that advance the clock themselves never make it go back', () => {
    const { clock, log, note } = setup();
    clock.after(10, () => clock.advance(100));
    clock.after(50, note('overtaken'));

    clock.advance(20);

    expect(log).toEqual(['overtaken at 50']);
    expect(clock.monotonic()).toBe(110);
  });

  test('that throw stop the advance at their instant; the next one goes on', () => {
    const { clock, log, note } = setup();
    clock.after(10, () => {
      throw new Error('from a timer');
    });
    clock.after(20, note('next'));

    expect(() => clock.advance(30)).toThrow('from a timer');
    expect([clock.monotonic(), clock.pending]).toEqual([10, 1]);
    clock.advance(20);

    expect(log).toEqual(['next at 20']);
  });

  test('that set themselves again without delay end in an error, not in a hang', () => {
    const clock = manualClock();
    const again = (): void => void clock.after(0, again);
    again();

    expect(() => clock.advance(1)).toThrow(/^More than 1000000 timers fired at one instant/);
  });

  test('by the hundred thousand fire in order, whichever are cancelled', () => {
    const clock = manualClock();
    const fired: [number, number][] = [];
    const expected: [number, number][] = [];
    for (let number = 0; number < 100_000; number += 1) {
      const due = (number * 7_919) % 1_000;
      const cancel = clock.after(due, () => fired.push([clock.monotonic(), number]));
      if (number % 3 === 0) cancel();
      else expected.push([due, number]);
    }

    expect(clock.pending).toBe(expected.length);
    clock.advance(1_000);

    expect(fired).toEqual(expected.sort(([dueA, a], [dueB, b]) => dueA - dueB || a - b));
  });

  test('that are cancelled leave nothing behind', () => {
    const clock = manualClock();
    const kept = clock.after(10, () => {});
    const before = heapUsed();

    for (let number = 0; number < 200_000; number += 1) clock.after(1_000, () => number)();

    expect(heapUsed() - before).toBeLessThan(2_000_000);
    expect(clock.pending).toBe(1);
    kept();
  });
});

describe('advanceAsync', () => {
  test('lets promises settle between timers, so that the timers these set are not missed', async () => {
    const { clock, log, note } = setup();
    const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
    const work = async (): Promise<void> => {
      await Promise.resolve();
      await wait(10);
      note('first')();
      await wait(10);
      note('second')();
      await wait(10);
      note('third')();
    };
    void work();

    await clock.advanceAsync(25);
    expect(log).toEqual(['first at 10', 'second at 20']);
    expect(clock.monotonic()).toBe(25);

    await clock.advanceAsync(5);
    expect(log).toHaveLength(3);
  });

  test('rejects with what a timer throws', async () => {
    const clock = manualClock();
    clock.after(1, () => {
      throw new Error('from a timer');
    });

    await expect(clock.advanceAsync(2)).rejects.toThrow('from a timer');
  });
});

describe('misuse', () => {
  test('is a TypeError that says what was expected', async () => {
    const clock = manualClock();

    expect(() => clock.advance(-1)).toThrow(
      new TypeError(
        'Expected `ms` to be a finite number ≥ 0 (to move the wall clock alone, also back, use `jump`), got `-1` (number)',
      ),
    );
    for (const ms of [NaN, Infinity, '5' as never, undefined as never])
      expect(() => clock.advance(ms)).toThrow(TypeError);
    await expect(clock.advanceAsync(-1)).rejects.toThrow(TypeError);
    expect(() => clock.jump(NaN)).toThrow(TypeError);
    expect(() => clock.after(NaN, () => {})).toThrow(TypeError);
    expect(() => clock.after(1, undefined as never)).toThrow(TypeError);
    expect(() => manualClock({ now: NaN })).toThrow(
      new TypeError('Expected `now` to be a finite number, got `NaN` (number)'),
    );
    expect(() => manualClock({ random: 0.5 as never })).toThrow(TypeError);
    expect(() => manualClock(null as never)).toThrow(TypeError);
    expect([clock.monotonic(), clock.pending]).toEqual([0, 0]);
  });
});

function heapUsed(): number {
  if (globalThis.gc === undefined) throw new Error('Run with --expose-gc');
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
