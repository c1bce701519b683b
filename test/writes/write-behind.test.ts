import { describe, expect, test, vi } from 'vitest';

import { memoryQueue, type WriteOutcome, WriteBehind } from '../../src/writes/index.js';
import { outcomesOf, setupWrites } from '../support/setup-writes.js';

describe('accepted writes', () => {
  test('wait for flushEvery from the first one on, and go together, oldest first', async () => {
    const { writes, clock, calls, delivered } = setupWrites();

    await writes.put('b', '1');
    await clock.advanceAsync(4_000);
    await writes.put('a', '1');
    await writes.delete('c');
    await clock.advanceAsync(999);
    expect(calls).toEqual([]);
    await clock.advanceAsync(1);

    expect(delivered()).toEqual([['b=1', 'a=1', 'c-']]);
    expect(calls[0]!.writes[2]).not.toHaveProperty('value');
    calls[0]!.answer();
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(1);
    expect(writes.status()).toMatchObject({ pending: 0, inFlight: 0, nextAttempt: null, oldestAge: null });
  });

  test('do not wait when there are maxBatch of them, and no batch is larger', async () => {
    const { writes, settle, calls, delivered } = setupWrites({ maxBatch: 2 });

    for (const key of ['a', 'b', 'c']) void writes.put(key, '1');
    await settle();
    expect(delivered()).toEqual([['a=1', 'b=1']]);
    calls[0]!.answer();
    await settle();

    expect(delivered()[1]).toEqual(['c=1']);
  });

  test('a burst over few keys is one batch: what one turn writes is counted by keys, not by calls', async () => {
    const { writes, settle, delivered } = setupWrites<number>({ maxBatch: 3 });

    for (let index = 0; index < 100; index += 1) await writes.put(`k${index % 3}`, index);
    await settle();

    expect(delivered()).toEqual([['k0=99', 'k1=97', 'k2=98']]);
  });

  test('are seen by reads at once, before and while they are delivered, and no longer', async () => {
    const { writes, settle, calls } = setupWrites();

    void writes.put('a', '1');
    expect(writes.peek('a')).toMatchObject({ kind: 'put', value: '1', attempts: 0 });
    void writes.flush();
    await settle();
    expect(await writes.read('a')).toBe('1');
    void writes.delete('a');
    expect(writes.peek('a')).toMatchObject({ kind: 'delete' });
    expect(await writes.read('a')).toBeUndefined();
    calls[0]!.answer();
    await settle();
    void writes.flush();
    await settle();
    calls[1]!.answer();
    await settle();

    expect(writes.peek('a')).toBeUndefined();
  });
});

describe('writes of one key', () => {
  test('become one as long as no sink can have seen them: the last one, at the place of the first', async () => {
    const { writes, settle, delivered } = setupWrites();

    await writes.put('a', '1');
    await writes.put('b', '1');
    await writes.delete('a');
    await writes.put('a', '2');
    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['a=2', 'b=1']]);
  });

  test('never change what is being delivered, and follow it', async () => {
    const { writes, settle, calls, delivered } = setupWrites({ merge: (a, b) => a + b });

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    await writes.put('a', '2');
    await writes.put('a', '3');
    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['a=1']]);
    expect(await writes.read('a')).toBe('123');
    calls[0]!.answer(['ok']);
    await settle();
    expect(delivered()).toEqual([['a=1'], ['a=23']]);
    expect(calls[0]!.writes[0]!.id).not.toBe(calls[1]!.writes[0]!.id);
  });

  test('never change what was tried and failed: the sink may have taken it', async () => {
    const { writes, settle, calls, delivered } = setupWrites({ merge: (a, b) => a + b });

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    calls[0]!.fail(new Error('connection lost'));
    await settle();
    await writes.put('a', '2');
    void writes.flush();
    await settle();
    calls[1]!.answer();
    await settle();

    expect(delivered()).toEqual([['a=1'], ['a=1'], ['a=2']]);
    expect(calls[1]!.writes[0]).toMatchObject({ id: calls[0]!.writes[0]!.id, attempts: 2 });
    expect(calls[1]!.context.attempt).toBe(2);
  });

  test('a merge that throws rejects that put alone and changes nothing', async () => {
    const { writes } = setupWrites({
      merge: (pending, incoming) => {
        if (incoming === 'bad') throw new Error('no merge');
        return incoming === 'nothing' ? (undefined as never) : pending + incoming;
      },
    });

    await writes.put('a', '1');
    await expect(writes.put('a', 'bad')).rejects.toThrow('no merge');
    await expect(writes.put('a', 'nothing')).rejects.toThrow('Expected `result of merge` to be a value');
    await writes.put('a', '2');

    expect(await writes.read('a')).toBe('12');
    expect(writes.status().pending).toBe(1);
  });
});

describe('update', () => {
  test('two at once see each other', async () => {
    const { writes } = setupWrites<number>();

    const add = (count = 0): number => count + 1;
    const results = await Promise.all([writes.update('a', add), writes.update('a', add), writes.update('a', add)]);

    expect(results).toEqual([1, 2, 3]);
    expect(await writes.read('a')).toBe(3);
  });

  test('begins with the current value where nothing is pending, and with what is pending otherwise', async () => {
    const asked: string[] = [];
    const { writes } = setupWrites<number>({
      current: async (key) => {
        asked.push(key);
        return 41;
      },
    });

    expect(await writes.update('a', (count = 0) => count + 1)).toBe(42);
    expect(await writes.update('a', (count = 0) => count + 1)).toBe(43);
    expect(asked).toEqual(['a']);
  });

  test('a write that comes and goes while the current value is fetched is not overwritten', async () => {
    const answers: ((value: number) => void)[] = [];
    const { writes, settle } = setupWrites<number>({
      sink: () => {},
      current: () => new Promise((resolve) => answers.push(resolve)),
    });

    const update = writes.update('a', (count = 0) => count + 1);
    await settle();
    await writes.put('a', 10);
    await writes.flush();
    expect(writes.status().pending).toBe(0);
    answers[0]!(0);
    await settle();
    answers[1]!(10);

    expect(await update).toBe(11);
  });

  test('a dead letter that is requeued and delivered while the current value is fetched is not overwritten', async () => {
    const answers: ((value: number | undefined) => void)[] = [];
    const verdicts: WriteOutcome<number>[] = [{ reject: 'no' }, 'ok'];
    const { writes, settle } = setupWrites<number>({
      sink: () => [verdicts.shift()!],
      current: () => new Promise((resolve) => answers.push(resolve)),
    });
    await writes.put('a', 10);
    await writes.flush();

    const update = writes.update('a', (count = 0) => count + 1);
    await settle();
    await writes.deadLetters.requeue((await writes.deadLetters.list())[0]!.id);
    await writes.flush();
    expect(writes.status().pending).toBe(0);
    answers[0]!(undefined);
    await settle();
    answers[1]?.(10);

    expect(await update).toBe(11);
  });

  test('that waits for room begins with what was delivered meanwhile', async () => {
    const database = new Map<string, number>();
    const { writes, settle, calls } = setupWrites<number>({ maxPending: 1, current: (key) => database.get(key) });

    await writes.put('a', 10);
    void writes.flush();
    await settle();
    const update = writes.update('a', (count = 0) => count + 1);
    await settle();
    database.set('a', 10);
    calls[0]!.answer();

    expect(await update).toBe(11);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'that comes %i turns after the sink has answered begins with what was delivered, over or not',
    async (turns) => {
      const database = new Map<string, number>();
      const { writes, settle, calls } = setupWrites<number>({ current: (key) => database.get(key) });

      await writes.put('a', 10);
      void writes.flush();
      await settle();
      database.set('a', 10);
      calls[0]!.answer();
      for (let turn = 0; turn < turns; turn += 1) await null;

      expect(await writes.update('a', (count = 0) => count + 1)).toBe(11);
    },
  );

  test('replaces what is pending, whatever merge there is', async () => {
    const { writes } = setupWrites({ merge: (a, b) => a + b });

    await writes.put('a', '1');
    await writes.update('a', (value) => `${value}!`);

    expect(await writes.read('a')).toBe('1!');
  });

  test('replaces what is being delivered too: a read gives what it gave, and what comes later is merged into that, also after a restart', async () => {
    const options = { queue: memoryQueue(), merge: (a: string, b: string) => a + b };
    const { writes, settle } = setupWrites(options);

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    expect(await writes.update('a', (value) => `${value}!`)).toBe('1!');
    expect(await writes.read('a')).toBe('1!');
    await writes.put('a', '2');

    expect(await writes.read('a')).toBe('1!2');
    expect(await setupWrites(options).writes.read('a')).toBe('1!2');
  });

  test('a function that throws, or makes nothing, rejects and changes nothing', async () => {
    const { writes } = setupWrites();
    await writes.put('a', '1');

    const fails = writes.update('a', () => {
      throw new Error('no');
    });
    await expect(fails).rejects.toThrow('no');
    await expect(writes.update('a', () => undefined as never)).rejects.toThrow('Expected `result of fn` to be a value');

    expect(await writes.read('a')).toBe('1');
  });
});

describe('a delivery under way', () => {
  test('is the only one: no second batch starts, not even by flush', async () => {
    const { writes, clock, calls } = setupWrites({ maxBatch: 1 });

    await writes.put('a', '1');
    await writes.put('b', '1');
    void writes.flush();
    void writes.flush();
    await clock.advanceAsync(20_000);
    expect(calls).toHaveLength(1);
    calls[0]!.answer();
    await clock.advanceAsync(0);

    expect(calls).toHaveLength(2);
    expect(writes.status()).toMatchObject({ pending: 1, inFlight: 1 });
  });

  test('flush resolves when what was accepted before is over, not what comes later', async () => {
    const { writes, settle, calls } = setupWrites({ maxBatch: 1 });
    let flushed = false;

    await writes.put('a', '1');
    await writes.put('b', '1');
    const flush = writes.flush().then(() => (flushed = true));
    await settle();
    calls[0]!.answer();
    await settle();
    expect(flushed).toBe(false);
    calls[1]!.answer();
    await flush;
    await writes.put('c', '1');
    await settle();

    // maxBatch is 1, so that the third follows by itself.
    expect(calls).toHaveLength(3);
    expect(flushed).toBe(true);
  });
});

describe('backpressure', () => {
  test('a put beyond maxPending waits for room, in order, and is not seen before', async () => {
    const { writes, settle, calls, delivered } = setupWrites({ maxPending: 2 });
    const accepted: string[] = [];

    for (const key of ['a', 'b', 'c', 'd']) void writes.put(key, '1').then(() => accepted.push(key));
    await settle();
    expect(accepted).toEqual(['a', 'b']);
    expect(writes.status()).toMatchObject({ pending: 2, waiting: 2 });
    expect(writes.peek('c')).toBeUndefined();
    void writes.flush();
    await settle();
    calls[0]!.answer(['ok', 'retry']);
    await settle();

    expect(accepted).toEqual(['a', 'b', 'c']);
    expect(delivered()).toEqual([['a=1', 'b=1']]);
    expect(writes.status()).toMatchObject({ pending: 2, waiting: 1 });
  });

  test('a put that is taken in by a waiting one of its key needs no room', async () => {
    const { writes } = setupWrites({ maxPending: 1, overflow: 'reject' });

    await writes.put('a', '1');
    await writes.put('a', '2');

    expect(await writes.read('a')).toBe('2');
    await expect(writes.put('b', '1')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_WRITES', maxPending: 1 });
    await expect(writes.update('b', () => '1')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_WRITES' });
  });

  test('a key never overtakes itself: who comes later waits behind', async () => {
    const { writes, settle, calls } = setupWrites({ maxPending: 2 });

    await writes.put('a', '1');
    await writes.put('b', '1');
    void writes.flush();
    await settle();
    // `a` is being delivered, so that these two can't be taken in.
    const later = [writes.put('a', '2'), writes.put('c', '1'), writes.put('a', '3')];
    expect(writes.status().waiting).toBe(3);
    calls[0]!.answer();
    await settle();

    await Promise.all(later.slice(0, 2));
    expect(await writes.read('a')).toBe('3');
    await Promise.all(later);
  });

  test('who needs no room enters when those who waited before have left', async () => {
    const { writes, settle } = setupWrites({ maxPending: 1 });
    const controller = new AbortController();
    const accepted: string[] = [];

    await writes.put('a', '1');
    void writes.put('b', '1', { signal: controller.signal });
    void writes.put('a', '2').then(() => accepted.push('a=2'));
    await settle();
    expect(accepted).toEqual([]);
    controller.abort();
    await settle();

    expect(accepted).toEqual(['a=2']);
    expect(writes.status()).toMatchObject({ pending: 1, waiting: 0 });
  });

  test('an abort ends the wait and leaves nothing behind', async () => {
    const { writes, settle, calls } = setupWrites({ maxPending: 1 });
    const controller = new AbortController();

    await writes.put('a', '1');
    const waiting = writes.put('b', '1', { signal: controller.signal });
    await settle();
    controller.abort('enough');

    await expect(waiting).rejects.toBe('enough');
    expect(writes.status()).toMatchObject({ pending: 1, waiting: 0 });
    await expect(writes.put('a', '2', { signal: controller.signal })).rejects.toBe('enough');
    void writes.flush();
    await settle();
    calls[0]!.answer();
    await settle();
    expect(writes.status().pending).toBe(0);
  });
});

describe('close', () => {
  test('delivers what is pending, then takes no more', async () => {
    const { writes, clock, settle, calls } = setupWrites();

    await writes.put('a', '1');
    const closing = writes.close();
    await expect(writes.put('b', '1')).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITES_CLOSED' });
    await expect(writes.update('b', () => '1')).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITES_CLOSED' });
    await settle();
    calls[0]!.answer();
    await closing;

    expect(clock.pending).toBe(0);
    expect(writes.close()).toBe(writes.close());
  });

  test('tells when writes are lost with it, and leaves no timer', async () => {
    const { writes, clock, settle, calls } = setupWrites();

    await writes.put('a', '1');
    const closing = writes.close();
    await settle();
    calls[0]!.fail(new Error('down'));

    await expect(closing).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITES_UNDELIVERED', pending: 1 });
    expect(clock.pending).toBe(0);
  });

  test('keeps what is pending in a queue that outlives it, also without trying', async () => {
    const queue = memoryQueue();
    const first = setupWrites({ queue });
    await first.writes.put('a', '1');
    await first.writes.close({ flush: false });
    expect(first.calls).toEqual([]);

    const second = setupWrites({ queue, clock: first.clock });
    await second.clock.advanceAsync(5_000);

    expect(second.delivered()).toEqual([['a=1']]);
    const { id } = second.calls[0]!.writes[0]!;
    expect(second.events[0]).toEqual({ type: 'restore', key: 'a', id });
  });

  test('turns away those who wait for room', async () => {
    const { writes, settle, calls } = setupWrites({ maxPending: 1 });

    await writes.put('a', '1');
    const waiting = writes.put('b', '1');
    const closing = writes.close();
    await settle();
    calls[0]!.answer();

    expect(await outcomesOf([waiting, closing])).toMatchObject([
      { reason: { code: 'SOLOFLIGHT_WRITES_CLOSED' } },
      undefined as never,
    ]);
  });
});

describe('an alarm instead of timers', () => {
  test('is told when flush is wanted: for a window, after a failure, and not when nothing is left', async () => {
    const alarms: number[] = [];
    const { writes, clock, settle, calls } = setupWrites({ schedule: (at) => void alarms.push(at) });
    const start = clock.now();

    await writes.put('a', '1');
    await writes.put('b', '1');
    expect(alarms).toEqual([start + 5_000]);
    await clock.advanceAsync(60_000);
    expect(calls).toEqual([]);
    expect(clock.pending).toBe(0);
    const flush = writes.flush();
    await settle();
    calls[0]!.fail(new Error('down'));
    await flush;
    expect(alarms).toEqual([start + 5_000, start + 60_750]);
    expect(writes.status()).toMatchObject({ failures: 1, nextAttempt: start + 60_750 });
    const again = writes.flush();
    await settle();
    calls[1]!.answer();
    await settle();
    calls[2]!.answer();
    await again;

    expect(alarms).toHaveLength(2);
    expect(writes.status()).toMatchObject({ pending: 0, failures: 0, nextAttempt: null });
  });

  test('that wakes a new process delivers what the queue holds; until then nothing is set or read', async () => {
    const queue = memoryQueue();
    const before = setupWrites({ queue, schedule: () => {} });
    await before.writes.put('a', '1');
    const alarms: number[] = [];
    const { writes, clock, settle, calls, delivered } = setupWrites({ queue, schedule: (at) => void alarms.push(at) });
    expect(alarms).toEqual([]);
    expect(clock.pending).toBe(0);

    const flush = writes.flush();
    await settle();
    await writes.put('b', '1');
    calls[0]!.answer(['retry']);
    await flush;

    expect(delivered()).toEqual([['a=1']]);
    // `a` is to be tried again sooner than the window of `b` ends.
    expect(alarms.at(-1)).toBe(clock.now() + 750);
    expect(writes.status().nextAttempt).toBe(alarms.at(-1));
  });

  test('one that fails is reported, and set again with the next change', async () => {
    let calls = 0;
    const { writes, events, settle } = setupWrites({
      schedule: () => {
        calls += 1;
        return Promise.reject(new Error('no alarm'));
      },
      sink: () => {
        throw new Error('down');
      },
    });

    await writes.put('a', '1');
    await settle();
    expect(events).toContainEqual({ type: 'error', source: 'schedule', error: new Error('no alarm') });
    await writes.flush();

    expect(calls).toBe(2);
  });

  test('one that fails is asked for again with the next write, and with no other', async () => {
    const alarms: number[] = [];
    const { writes, clock, settle } = setupWrites({
      schedule: (at) => {
        alarms.push(at);
        if (alarms.length === 1) throw new Error('no alarm');
      },
    });

    for (const key of ['a', 'b', 'c']) {
      await writes.put(key, '1');
      await settle();
    }

    expect(alarms).toEqual([clock.now() + 5_000, clock.now() + 5_000]);
    expect(writes.status().nextAttempt).toBe(clock.now() + 5_000);
  });

  test('is not asked for where nothing but flush delivers, which is found out once and not with every write', async () => {
    const alarms: number[] = [];
    const { writes, clock } = setupWrites({ flushEvery: Infinity, schedule: (at) => void alarms.push(at) });
    await writes.put('a', '1');
    const looks = vi.spyOn(clock, 'monotonic');

    for (const key of ['a', 'b', 'c']) await writes.put(key, '2');

    expect(alarms).toEqual([]);
    expect(looks).not.toHaveBeenCalled();
    expect(writes.status()).toMatchObject({ pending: 3, nextAttempt: null });
  });
});

describe('updates of very many keys', () => {
  test('leave nothing behind', async () => {
    const writes = new WriteBehind<string>({ sink: () => {}, flushEvery: Infinity, maxBatch: 100_000 });
    const round = async (name: string): Promise<number> => {
      for (let i = 0; i < 20_000; i += 1) await writes.update(`${name}${i}`.repeat(4), () => 'v');
      await writes.flush();
      gc!();
      return process.memoryUsage().heapUsed;
    };
    await round('warm');
    const first = await round('a');

    expect((await round('b')) - first).toBeLessThan(1_000_000);
  });
});
