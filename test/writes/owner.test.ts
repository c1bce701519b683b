import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { queueOwned } from '../../src/base/owned.js';
import type { MaybePromise, Ownership, QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { sqliteQueue } from '../../src/storage/sqlite.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind, type WriteBehindOptions } from '../../src/writes/index.js';
import { setupWrites } from '../support/setup-writes.js';

const OWNED = { code: 'SOLOFLIGHT_QUEUE_OWNED' };

/** A queue with owners in memory, whose leases go by the clock of the test. */
function ownedQueue() {
  const clock = manualClock();
  const stored = memoryQueue();
  const state = {
    owner: undefined as string | undefined,
    ends: 0,
    renewals: 0,
    isDown: false,
    /** Delays the answer to a stored write. */
    answer: (): MaybePromise<void> => {},
    letGo: (): void => {},
  };
  const reach = (): void => {
    if (state.isDown) throw new Error('down');
  };
  const as = (owner: string, run: () => MaybePromise<void>): MaybePromise<void> => {
    reach();
    if (state.owner !== owner) throw queueOwned('test');
    return run();
  };
  const ownership = (owner: string): Ownership => ({
    put: (writes) =>
      as(owner, () => {
        void stored.put(writes);
        return state.answer();
      }),
    remove: (ids) => as(owner, () => stored.remove(ids)),
    renew: (ms) => {
      reach();
      if (state.owner !== owner) return false;
      state.renewals += 1;
      state.ends = clock.now() + ms;
      return true;
    },
    release: () => {
      if (state.owner === owner) state.owner = undefined;
    },
  });
  const open = (): WriteQueue => ({
    name: 'test',
    load: () => stored.load(),
    put: () => {
      throw new Error('not as the owner');
    },
    remove: () => {
      throw new Error('not as the owner');
    },
    listDead: () => stored.listDead(),
    own(owner, ms, takeOver) {
      reach();
      const isFree = state.owner === undefined || state.owner === owner || state.ends <= clock.now();
      if (!isFree && !takeOver) return undefined;
      state.owner = owner;
      state.ends = clock.now() + ms;
      return ownership(owner);
    },
  });
  const setup = (options: Partial<WriteBehindOptions<string>> = {}) =>
    setupWrites({ queue: open(), clock, ...options });
  return { clock, setup, state, stored };
}

/** The outcome of `promise` so far. */
function watched(promise: Promise<unknown>): { outcome: unknown } {
  const watch: { outcome: unknown } = { outcome: 'pending' };
  promise.then(
    () => (watch.outcome = 'done'),
    (error: { code?: string }) => (watch.outcome = error.code),
  );
  return watch;
}

describe('a queue that another WriteBehind owns', () => {
  test('is waited for, and taken over when that one is closed', async () => {
    const { setup, clock } = ownedQueue();
    const first = setup();
    await first.writes.put('k', 'first');
    const second = setup();
    const put = watched(second.writes.put('k', 'second'));
    await clock.advanceAsync(3_000);
    expect(put.outcome).toBe('pending');

    await first.writes.close({ flush: false });
    await clock.advanceAsync(250);

    expect(put.outcome).toBe('done');
    expect(await second.writes.read('k')).toBe('second');
  });

  test('is taken over when its owner says nothing any more', async () => {
    const { setup, clock, state } = ownedQueue();
    Object.assign(state, { owner: 'killed', ends: clock.now() + 10_000 });
    const { writes } = setup();
    const put = watched(writes.put('k', 'v'));

    await clock.advanceAsync(9_999);
    expect(put.outcome).toBe('pending');
    await clock.advanceAsync(251);

    expect(put.outcome).toBe('done');
  });

  test('refuses when `ownerWait` is over, says what to do, and is asked again by the next call', async () => {
    const { setup, clock } = ownedQueue();
    const first = setup();
    await first.writes.open();
    const second = setup({ ownerWait: '1s' });
    const put = second.writes.put('k', 'v');
    const watch = watched(put);

    await clock.advanceAsync(999);
    expect(watch.outcome).toBe('pending');
    await clock.advanceAsync(1);
    await expect(put).rejects.toMatchObject({
      ...OWNED,
      message: expect.stringMatching(/close the other one.*ownerWait/),
    });

    await first.writes.close();
    await second.writes.put('k', 'v');
    expect(second.writes.status().pending).toBe(1);
  });

  test('keeps the wait of 30 s by default, during which the owner lives', async () => {
    const { setup, clock, state } = ownedQueue();
    await setup().writes.open();
    const watch = watched(setup().writes.open());

    await clock.advanceAsync(29_999);
    expect(watch.outcome).toBe('pending');
    expect(state.renewals).toBeGreaterThanOrEqual(9);
    await clock.advanceAsync(1);

    expect(watch.outcome).toBe('SOLOFLIGHT_QUEUE_OWNED');
  });

  test('is taken at once with `takeOver`', async () => {
    const { setup } = ownedQueue();
    const first = setup();
    await first.writes.put('k', 'v');
    const second = setup();

    await second.writes.open({ takeOver: true });

    expect(await second.writes.read('k')).toBe('v');
  });

  test('does not hold up a close', async () => {
    const { setup, clock } = ownedQueue();
    await setup().writes.open();
    const second = setup();
    const put = watched(second.writes.put('k', 'v'));
    const closed = watched(second.writes.close());

    await clock.advanceAsync(0);

    expect([put.outcome, closed.outcome]).toEqual(['SOLOFLIGHT_QUEUE_OWNED', 'done']);
  });
});

describe('a former owner', () => {
  test('accepts nothing, delivers nothing, and knows of nothing any more', async () => {
    const { setup, clock, stored } = ownedQueue();
    const first = setup();
    await first.writes.put('k', 'v');
    const second = setup();
    await second.writes.open({ takeOver: true });

    const flushed = first.writes.flush();
    await clock.advanceAsync(5_000);
    await flushed.catch(() => {});

    expect(first.calls).toEqual([]);
    await expect(first.writes.put('k', 'late')).rejects.toMatchObject(OWNED);
    await expect(first.writes.update('k', () => 'late')).rejects.toMatchObject(OWNED);
    await expect(first.writes.read('k')).rejects.toMatchObject(OWNED);
    await expect(first.writes.flush()).rejects.toMatchObject(OWNED);
    await expect(first.writes.deadLetters.list()).rejects.toMatchObject(OWNED);
    expect(first.writes.status()).toMatchObject({ pending: 0, nextAttempt: null });
    expect(first.events).toContainEqual({
      type: 'queue-error',
      operation: 'own',
      error: expect.objectContaining(OWNED),
    });
    expect(stored.load()).toMatchObject([{ value: 'v' }]);
    await first.writes.close();
  });

  test('hears of it by its heartbeat, if it does nothing', async () => {
    const { setup, clock } = ownedQueue();
    const first = setup();
    await first.writes.put('k', 'v');
    await setup({ flushEvery: Infinity }).writes.open({ takeOver: true });

    await clock.advanceAsync(3_000);

    expect(first.writes.status().pending).toBe(0);
  });

  test('tells the sink to stop, and does not have the write forgotten that the new owner delivers', async () => {
    const { setup, clock, stored } = ownedQueue();
    const first = setup();
    await first.writes.put('k', 'v');
    const flushed = watched(first.writes.flush());
    await clock.advanceAsync(0);
    await setup({ flushEvery: Infinity }).writes.open({ takeOver: true });

    await clock.advanceAsync(3_000);
    expect(first.calls[0]?.context.signal.aborted).toBe(true);
    first.calls[0]?.answer();
    await clock.advanceAsync(60_000);

    expect(flushed.outcome).not.toBe('pending');
    expect(first.writes.status()).toMatchObject({ pending: 0, oldestAge: null });
    expect(stored.load()).toMatchObject([{ value: 'v', attempts: 1 }]);
  });

  test('that was suspended between the mark and the sink delivers nothing behind what the new owner delivered', async () => {
    const { setup, clock, state } = ownedQueue();
    let slept = 0;
    const sleeper = {
      now: () => clock.now() + slept,
      monotonic: () => clock.monotonic() + slept,
      random: () => clock.random(),
      after: (ms: number, run: () => void) => clock.after(ms, run),
    };
    const first = setup({ clock: sleeper, flushEvery: Infinity });
    state.answer = async () => {};
    await first.writes.put('k', 'old');
    const flushed = watched(first.writes.flush());
    state.answer = () => new Promise((resolve) => (state.letGo = resolve));
    await clock.advanceAsync(0);
    // Its timers stand still, time does not.
    slept = 5_000;
    const second = setup({ flushEvery: Infinity });
    state.answer = () => {};
    await second.writes.open({ takeOver: true });
    expect(await second.writes.read('k')).toBe('old');

    state.letGo();
    await clock.advanceAsync(500);

    expect(first.calls).toEqual([]);
    expect(flushed.outcome).not.toBe('pending');
  });

  test('releases callers that wait for room', async () => {
    const { setup, clock } = ownedQueue();
    const first = setup({ maxPending: 1 });
    await first.writes.put('a', 'v');
    const waiting = watched(first.writes.put('b', 'v'));
    await setup().writes.open({ takeOver: true });

    await clock.advanceAsync(3_000);

    expect(waiting.outcome).toBe('SOLOFLIGHT_QUEUE_OWNED');
  });
});

describe('an owner', () => {
  test('stays the owner through an outage in which it could not say that it lives', async () => {
    const { setup, clock, state } = ownedQueue();
    const { writes } = setup({ flushEvery: Infinity });
    await writes.open();
    state.isDown = true;
    await clock.advanceAsync(60_000);
    state.isDown = false;

    await writes.put('k', 'v');

    expect(writes.status().pending).toBe(1);
  });

  test('that could not be told that it is the owner, is when it asks again', async () => {
    const { setup, state } = ownedQueue();
    const queue = memoryQueue();
    const owners: string[] = [];
    queue.own = (owner) => {
      owners.push(owner);
      if (owners.length === 1) throw new Error('no answer');
      return { put: (writes) => queue.put(writes), remove: (ids) => queue.remove(ids), release: () => {} };
    };
    const { writes } = setup({ queue });

    await expect(writes.open()).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    await writes.open();

    expect(new Set(owners).size).toBe(1);
    expect(state.owner).toBeUndefined();
  });
});

describe('two WriteBehinds on one SQLite file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  test('a write accepted after a restart is never merged into an id that was delivered already', async () => {
    const database = join(directory, 'restart.db');
    const taken = new Map<string, unknown>();
    const open = (): WriteBehind<string> =>
      new WriteBehind<string>({
        queue: sqliteQueue({ database }),
        ownerWait: 0,
        sink: (batch) => {
          for (const { id, value } of batch) if (!taken.has(id)) taken.set(id, value);
        },
      });
    const before = open();
    await before.put('k', 'one');
    const after = open();
    await expect(after.open()).rejects.toMatchObject(OWNED);
    await after.open({ takeOver: true });

    await before.flush().catch(() => {});
    await after.put('k', 'two');
    await after.close();
    await before.close();

    expect([...taken.values()].at(-1)).toBe('two');
    const left = sqliteQueue({ database });
    expect((await left.load()) as QueuedWrite[]).toEqual([]);
    await left.close?.();
  });
});
