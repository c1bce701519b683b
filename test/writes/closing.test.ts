import { describe, expect, test } from 'vitest';

import type { WriteQueue } from '../../src/contracts.js';
import { memoryQueue } from '../../src/writes/index.js';
import { setupWrites } from '../support/setup-writes.js';

/** The outcome of `promise` so far. */
function watched(promise: Promise<unknown>): { outcome: unknown } {
  const watch: { outcome: unknown } = { outcome: 'pending' };
  promise.then(
    () => (watch.outcome = 'done'),
    (error: unknown) => (watch.outcome = error),
  );
  return watch;
}

describe('a close while the sink hangs', () => {
  test('ends within the time given, aborts the sink, and leaves the writes to the queue', async () => {
    const queue = memoryQueue();
    const { writes, calls, clock } = setupWrites({ queue });
    await writes.put('k', 'v');
    const closed = watched(writes.close({ within: '5s' }));
    await clock.advanceAsync(4_999);
    expect([calls.length, calls[0]?.context.signal.aborted, closed.outcome]).toEqual([1, false, 'pending']);

    await clock.advanceAsync(1);

    expect([calls[0]?.context.signal.aborted, closed.outcome]).toEqual([true, 'done']);
    const next = setupWrites({ queue });
    expect(await next.writes.read('k')).toBe('v');
  });

  test('names what is lost', async () => {
    const { writes, clock } = setupWrites();
    await writes.put('a', 'v');
    await writes.put('b', 'v');
    const closed = watched(writes.close({ within: '5s' }));

    await clock.advanceAsync(5_000);

    expect(closed.outcome).toMatchObject({ code: 'SOLOFLIGHT_WRITES_UNDELIVERED', pending: 2, keys: ['a', 'b'] });
  });

  test('ends at once with `abort`, also if it began without', async () => {
    const { writes, calls, settle } = setupWrites({ queue: memoryQueue() });
    await writes.put('k', 'v');
    const patient = watched(writes.close());
    await settle();
    expect(patient.outcome).toBe('pending');

    const hasty = watched(writes.close({ abort: true }));
    await settle();

    expect([patient.outcome, hasty.outcome, calls[0]?.context.signal.aborted]).toEqual(['done', 'done', true]);
  });

  test('delivers nothing more with `abort`, not even what comes in before the sink is told', async () => {
    const { writes, calls, clock } = setupWrites({ queue: memoryQueue() });
    await writes.put('k', 'v');

    await writes.close({ abort: true });
    await clock.advanceAsync(60_000);

    expect(calls).toEqual([]);
  });

  test('does not begin a delivery that the queue is just noting', async () => {
    const stored = memoryQueue();
    let answer: (() => void) | undefined;
    const queue: WriteQueue = {
      name: 'slow',
      load: () => stored.load(),
      put: (all) => (all[0]?.attempts === 0 ? stored.put(all) : new Promise((resolve) => (answer = resolve))),
      remove: (ids) => stored.remove(ids),
      listDead: () => stored.listDead(),
    };
    const { writes, calls, settle } = setupWrites({ queue });
    await writes.put('k', 'v');
    void writes.flush();
    await settle();

    const closed = watched(writes.close({ abort: true }));
    for (let times = 0; times < 2; times += 1) {
      answer?.();
      await settle();
    }

    expect([closed.outcome, calls]).toEqual(['done', []]);
  });

  test('does not count an answer that comes too late', async () => {
    const queue = memoryQueue();
    const { writes, calls, clock } = setupWrites({ queue });
    await writes.put('k', 'v');
    const closed = watched(writes.close({ within: 1 }));
    await clock.advanceAsync(1);

    calls[0]?.answer();
    await clock.advanceAsync(60_000);

    expect(closed.outcome).toBe('done');
    expect(await queue.load()).toMatchObject([{ key: 'k' }]);
  });
});

describe('a close', () => {
  test('ends within the time given while the queue hangs, and closes the queue', async () => {
    const stored = memoryQueue();
    let closes = 0;
    let isHanging = false;
    const queue: WriteQueue = {
      name: 'hanging',
      load: () => stored.load(),
      put: (all) => (isHanging ? new Promise(() => {}) : stored.put(all)),
      remove: (ids) => stored.remove(ids),
      listDead: () => stored.listDead(),
      close: () => void (closes += 1),
    };
    const { writes, clock } = setupWrites({ queue });
    await writes.put('a', 'v');
    isHanging = true;
    void writes.put('b', 'v');
    const closed = watched(writes.close({ within: '1s' }));

    await clock.advanceAsync(1_000);

    expect([closed.outcome, closes]).toEqual(['done', 1]);
  });

  test('that ends in time leaves no timer behind', async () => {
    const { writes, calls, clock, settle } = setupWrites();
    await writes.put('k', 'v');
    const closed = watched(writes.close({ within: '1h' }));
    await settle();
    calls[0]?.answer();
    await settle();

    expect(closed.outcome).toBe('done');
    expect(clock.pending).toBe(0);
  });

  test.each([-1, 'soon', NaN])('refuses a `within` that is no duration (%s), and closes nothing', async (within) => {
    const { writes } = setupWrites();

    await expect(writes.close({ within: within as number })).rejects.toThrow(/Expected `within` to be a duration/);

    await writes.put('k', 'v');
  });
});
