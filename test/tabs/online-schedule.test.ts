import { describe, expect, test } from 'vitest';

import { onlineSchedule } from '../../src/browser/online-schedule.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind } from '../../src/writes/index.js';
import { asked, failRequest, probe, settle, setup, type Parts } from '../support/setup-connectivity.js';

/** A schedule that notes when it runs. */
function setupSchedule(options: Parameters<typeof setup>[0] = {}): Parts & {
  readonly runs: number[];
  readonly schedule: (dueAt: number) => void;
} {
  const parts = setup(options);
  const runs: number[] = [];
  const since = parts.clock.now();
  const schedule = parts.connection.schedule(() => void runs.push(parts.clock.now() - since));
  parts.clock.advance(0);
  runs.length = 0;
  return { ...parts, runs, schedule: (wait) => schedule(since + wait) };
}

describe('a schedule while the server can be reached', () => {
  test('runs once, when it is due', () => {
    const { clock, runs, schedule } = setupSchedule();

    schedule(1_000);
    clock.advance(999);
    expect(runs).toEqual([]);
    clock.advance(10_000);

    expect([runs, clock.pending]).toEqual([[1_000], 0]);
  });

  test('runs at the instant it was told last, and again when it is told again', () => {
    const { clock, runs, schedule } = setupSchedule();

    schedule(1_000);
    schedule(500);
    clock.advance(2_000);
    schedule(2_500);
    schedule(3_000);
    clock.advance(2_000);

    expect(runs).toEqual([500, 3_000]);
  });

  test('runs at once what was due already', () => {
    const { clock, runs, schedule } = setupSchedule();

    schedule(-5_000);
    clock.advance(0);

    expect(runs).toEqual([0]);
  });
});

describe('a schedule while the server can not be reached', () => {
  test('runs nothing, and then at once, also what would be due later', () => {
    const { clock, runs, schedule, browser } = setupSchedule({ onLine: false });

    schedule(1_000);
    clock.advance(5_000);
    expect([runs, clock.pending]).toEqual([[], 0]);
    browser.go('online');
    expect(runs).toEqual([5_000]);
    browser.go('offline');
    schedule(60_000);
    clock.advance(1_000);
    browser.go('online');

    expect(runs).toEqual([5_000, 6_000]);
    browser.go('offline');
    browser.go('online');
    expect(runs).toEqual([5_000, 6_000]);
  });

  test('waits for the probe as well', async () => {
    const parts = setupSchedule({ probe });
    const { clock, runs, schedule } = parts;
    await failRequest(parts);
    asked[0]!.answer(false);
    await settle();
    expect(parts.connection.state).toBe('unreachable');

    schedule(100);
    clock.advance(900);
    expect(runs).toEqual([]);
    await clock.advanceAsync(100);
    asked[1]!.answer(true);
    await settle();

    expect(runs).toEqual([1_000]);
  });
});

describe('a schedule that ends', () => {
  test('with its signal runs nothing more, and leaves no timer', () => {
    const { connection, clock, runs, schedule } = setupSchedule();

    schedule(1_000);
    connection.close();
    schedule(2_000);

    expect(clock.pending).toBe(0);
    clock.advance(5_000);
    expect(runs).toEqual([]);
  });

  test('in a failure of what it runs goes on, and leaves nothing unhandled', async () => {
    const { connection, clock } = setup();
    let runs = 0;
    const failing = [
      connection.schedule(() => Promise.reject(new Error(`${(runs += 1)}`))),
      connection.schedule(() => {
        throw new Error(`${(runs += 1)}`);
      }),
    ];

    for (const schedule of failing) schedule(clock.now() + 1);
    await clock.advanceAsync(1);
    for (const schedule of failing) schedule(clock.now() + 1);
    await clock.advanceAsync(1);

    expect(runs).toBe(4);
  });

  test('before it begins says what is wrong', () => {
    expect(() => setup().connection.schedule(undefined as never)).toThrow('Expected `run` to be a function');
  });
});

describe('a WriteBehind on a schedule', () => {
  test('tries nothing while there is no network, so that edits of that time are one write', async () => {
    const { connection, clock, browser } = setup({ onLine: false });
    const batches: unknown[] = [];
    const writes: WriteBehind<string> = new WriteBehind<string>({
      clock,
      flushEvery: 200,
      merge: (pending, incoming) => pending + incoming,
      schedule: connection.schedule((options) => writes.flush(options)),
      sink: (batch) => void batches.push(batch.map(({ key, value, attempts }) => [key, value, attempts])),
    });

    await writes.put('k', 'a');
    await clock.advanceAsync(60_000);
    await writes.put('k', 'b');
    await clock.advanceAsync(60_000);
    expect(batches).toEqual([]);
    browser.go('online');
    await clock.advanceAsync(0);
    expect(batches).toEqual([[['k', 'ab', 1]]]);
    await writes.put('k', 'c');
    await clock.advanceAsync(200);

    expect(batches).toEqual([[['k', 'ab', 1]], [['k', 'c', 1]]]);
    await writes.close();
  });

  test('goes on by its pauses when a delivery fails although there is a network', async () => {
    const { connection, clock } = setup();
    let attempts = 0;
    const writes: WriteBehind<string> = new WriteBehind<string>({
      clock,
      flushEvery: 200,
      retry: { initial: 1_000 },
      schedule: connection.schedule((options) => writes.flush(options)),
      sink: () => {
        attempts += 1;
        if (attempts < 3) throw new Error('busy');
      },
    });

    await writes.put('k', 'a');
    await clock.advanceAsync(60_000);

    expect([attempts, writes.status().pending]).toEqual([3, 0]);
    await writes.close();
  });
});

describe('a schedule that is set again and again', () => {
  test('leaves no listener behind', () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given: Parameters<typeof add>) => {
      listeners += 1;
      add(...given);
    };
    signal.removeEventListener = (...given: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...given);
    };
    const clock = manualClock();
    const connection = { state: 'online', on: () => () => {} };
    const schedule = onlineSchedule({ connection, clock, closing: signal, run: () => {} });

    schedule(clock.now() + 1);
    schedule(clock.now() + 2);
    clock.advance(10);

    expect([listeners, clock.pending]).toEqual([0, 0]);
  });
});

describe('a WriteBehind on a schedule, over a queue that holds a write', () => {
  test.each([0, 1])('delivers it, also when the queue fails %d times at first', async (failures) => {
    const { connection, clock } = setup();
    const queue = memoryQueue();
    const before = new WriteBehind<string>({ clock, queue, flushEvery: Infinity, sink: () => {} });
    await before.put('k', 'v');
    await before.close({ flush: false });
    let left = failures;
    const load = (): ReturnType<typeof queue.load> => {
      if ((left -= 1) >= 0) throw new Error('blocked');
      return queue.load();
    };
    const reloaded = {
      name: 'q',
      load,
      put: queue.put.bind(queue),
      remove: queue.remove.bind(queue),
      listDead: () => [],
    };
    const delivered: string[] = [];
    const writes: WriteBehind<string> = new WriteBehind<string>({
      clock,
      queue: reloaded,
      schedule: connection.schedule((options) => writes.flush(options)),
      sink: (batch) => void delivered.push(...batch.map(({ key }) => key)),
    });

    if (failures > 0) await writes.open().catch(() => {});
    await clock.advanceAsync(3_600_000);

    expect(delivered).toEqual(['k']);
    await writes.close();
  });
});

describe('a key that the sink asks to be tried again, on a schedule', () => {
  test('has its growing pauses, whatever else is written', async () => {
    const { connection, clock } = setup();
    let attempts = 0;
    const writes: WriteBehind<string> = new WriteBehind<string>({
      clock,
      flushEvery: 200,
      retry: { initial: '1s', max: '1m' },
      schedule: connection.schedule((options) => writes.flush(options)),
      sink: (batch) =>
        batch.map(({ key }) => {
          if (key !== 'busy') return 'ok';
          attempts += 1;
          return 'retry';
        }),
    });

    await writes.put('busy', 'x');
    for (let edit = 0; edit < 300; edit += 1) {
      await writes.put('other', `${edit}`);
      await clock.advanceAsync(200);
    }

    expect(attempts).toBeLessThan(15);
    await writes.close({ flush: false }).catch(() => {});
  });
});
