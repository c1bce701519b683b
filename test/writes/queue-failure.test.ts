import { describe, expect, test } from 'vitest';

import type { QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { UndecodableError } from '../../src/index.js';
import { sampleWrite } from '../../src/testing/write-queue-suite/checks.js';
import { memoryQueue } from '../../src/writes/index.js';
import { outcomesOf, setupWrites } from '../support/setup-writes.js';

type Operation = 'load' | 'put' | 'remove' | 'listDead';

/** A queue whose calls wait for the test, or fail when it says so. */
function scriptedQueue() {
  const stored = memoryQueue();
  const calls: { readonly operation: Operation; readonly size: number }[] = [];
  const held: (() => void)[] = [];
  let holding = false;
  let failing: (operation: Operation, argument: readonly unknown[]) => boolean = () => false;
  const call = async <T>(operation: Operation, argument: readonly unknown[], run: () => T): Promise<T> => {
    calls.push({ operation, size: argument.length });
    if (holding) await new Promise<void>((resolve) => held.push(resolve));
    if (failing(operation, argument)) throw new Error(`${operation} failed`);
    return run();
  };
  const queue: WriteQueue = {
    name: 'scripted',
    load: () => call('load', [], () => stored.load() as readonly QueuedWrite[]),
    put: (writes) => call('put', writes, () => stored.put(writes) as void),
    remove: (ids) => call('remove', ids, () => stored.remove(ids) as void),
    listDead: () => call('listDead', [], () => stored.listDead() as readonly QueuedWrite[]),
  };
  return {
    queue,
    stored,
    calls,
    hold: () => (holding = true),
    release: () => {
      holding = false;
      for (const go of held.splice(0)) go();
    },
    fail: (when: typeof failing) => (failing = when),
    values: () => (stored.load() as readonly QueuedWrite[]).map(({ key, value }) => `${key}=${String(value)}`),
  };
}

describe('a queue that takes its time', () => {
  test('is called once at a time, with all that came meanwhile: a write is accepted when it is stored', async () => {
    const { queue, calls, hold, release } = scriptedQueue();
    const { writes, settle } = setupWrites({ queue });
    await writes.put('first', '1');
    await settle();
    calls.length = 0;
    hold();
    const accepted: string[] = [];

    void writes.put('a', '1').then(() => accepted.push('a'));
    await settle();
    for (const key of ['b', 'c', 'd']) void writes.put(key, '1').then(() => accepted.push(key));
    await settle();
    expect(calls).toEqual([{ operation: 'put', size: 1 }]);
    expect(accepted).toEqual([]);
    expect(await writes.read('d')).toBe('1');
    release();
    await settle();

    expect(calls).toEqual([
      { operation: 'put', size: 1 },
      { operation: 'put', size: 3 },
    ]);
    expect(accepted).toEqual(['a', 'b', 'c', 'd']);
  });

  test('writes of one turn are one call, and those of one key one write', async () => {
    const { queue, calls } = scriptedQueue();
    const { writes, settle } = setupWrites({ queue });
    await writes.put('first', '1');
    await settle();
    calls.length = 0;

    await Promise.all(Array.from({ length: 100 }, (_, index) => writes.put(`k${index % 10}`, String(index))));

    expect(calls).toEqual([{ operation: 'put', size: 10 }]);
  });

  test('no write reaches the sink before the queue knows that it may, nor after a close', async () => {
    const { queue, calls, hold, release } = scriptedQueue();
    const sink = setupWrites({ queue });
    await sink.writes.put('a', '1');
    hold();

    void sink.writes.flush();
    await sink.settle();
    expect(calls.at(-1)).toEqual({ operation: 'put', size: 1 });
    expect(sink.calls).toEqual([]);
    release();
    await sink.settle();

    expect(sink.calls).toHaveLength(1);
  });

  test('the next write of a key waits until the queue has forgotten the first', async () => {
    const { queue, stored, hold, release } = scriptedQueue();
    const { writes, settle, calls, delivered } = setupWrites({ queue });
    await writes.put('a', '1');
    void writes.flush();
    await settle();
    await writes.put('a', '2');
    void writes.flush();
    await settle();
    hold();

    calls[0]!.answer();
    await settle();
    expect(delivered()).toEqual([['a=1']]);
    expect(stored.load()).toHaveLength(2);
    release();
    await settle();

    expect(delivered()).toEqual([['a=1'], ['a=2']]);
    expect(stored.load()).toHaveLength(1);
  });
});

describe('a queue that refuses', () => {
  test('one write rejects that one alone, and the rest goes on', async () => {
    const { queue, fail, values } = scriptedQueue();
    const { writes, events, settle } = setupWrites({ queue });
    await writes.put('first', '1');
    fail((operation, given) => operation === 'put' && (given as QueuedWrite[]).some(({ value }) => value === 'bad'));

    const results = await outcomesOf(['a', 'b', 'c'].map((key) => writes.put(key, key === 'b' ? 'bad' : 'good')));

    expect(results[0]).toBeUndefined();
    expect(results[1]).toMatchObject({
      reason: { code: 'SOLOFLIGHT_WRITE_QUEUE', queue: 'scripted', key: 'b', cause: new Error('put failed') },
    });
    expect(results[2]).toBeUndefined();
    expect(await writes.read('b')).toBeUndefined();
    expect(values()).toEqual(['first=1', 'a=good', 'c=good']);
    expect(events.filter(({ type }) => type === 'queue-error')).toHaveLength(1);
    await settle();
    expect(writes.status().pending).toBe(3);
  });

  test('a change of a write leaves what it held before, and takes back what was built upon it', async () => {
    const { queue, fail, hold, release, values } = scriptedQueue();
    const { writes, settle } = setupWrites({ queue, merge: (a, b) => a + b });
    await writes.put('a', '1');
    fail((operation) => operation === 'put');
    hold();

    const second = writes.put('a', '2');
    await settle();
    const third = writes.put('a', '3');
    expect(await writes.read('a')).toBe('123');
    release();

    expect(await outcomesOf([second, third])).toMatchObject([
      { reason: { code: 'SOLOFLIGHT_WRITE_QUEUE' } },
      { reason: { code: 'SOLOFLIGHT_WRITE_QUEUE' } },
    ]);
    expect(await writes.read('a')).toBe('1');
    expect(values()).toEqual(['a=1']);
    fail(() => false);
    await writes.put('a', '4');
    expect(await writes.read('a')).toBe('14');
  });

  test('everything rejects everything after a few tries, not one call for each', async () => {
    const { queue, fail, calls } = scriptedQueue();
    const { writes } = setupWrites({ queue });
    await writes.put('first', '1');
    calls.length = 0;
    fail((operation) => operation === 'put');

    const results = await outcomesOf(Array.from({ length: 100 }, (_, index) => writes.put(`k${index}`, '1')));

    expect(results.every((result) => result !== undefined)).toBe(true);
    expect(calls.filter(({ operation }) => operation === 'put').length).toBeLessThanOrEqual(4);
    expect(calls.length).toBeLessThanOrEqual(5);
    expect(writes.status().pending).toBe(1);
  });

  test('to note an attempt keeps the sink from being called', async () => {
    const { queue, fail } = scriptedQueue();
    const { writes, clock, calls } = setupWrites({ queue });
    await writes.put('a', '1');
    fail((operation) => operation === 'put');

    await writes.flush();
    expect(calls).toEqual([]);
    expect(writes.status()).toMatchObject({ pending: 1, inFlight: 0 });
    expect(writes.peek('a')).toMatchObject({ value: '1', attempts: 0 });
    fail(() => false);
    await clock.advanceAsync(2_000);

    expect(calls).toHaveLength(1);
  });

  test('to forget a delivered write: it is not delivered again, and its key waits', async () => {
    const { queue, fail, stored } = scriptedQueue();
    const { writes, clock, settle, calls, delivered } = setupWrites({ queue });
    await writes.put('a', '1');
    void writes.flush();
    await settle();
    await writes.put('a', '2');
    await writes.put('b', '1');
    fail((operation) => operation === 'remove');
    calls[0]!.answer();
    await settle();
    await clock.advanceAsync(10_000);
    expect(delivered()).toEqual([['a=1']]);
    fail(() => false);
    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['a=1'], ['a=2', 'b=1']]);
    expect(stored.load()).toHaveLength(2);
  });

  test('to keep a dead letter: tried again, and never delivered meanwhile', async () => {
    const { queue, fail } = scriptedQueue();
    const { writes, clock, settle, calls } = setupWrites({ queue });
    await writes.put('a', '1');
    void writes.flush();
    await settle();
    fail((operation) => operation === 'put');
    calls[0]!.answer([{ reject: 'no' }]);
    await clock.advanceAsync(5_000);
    expect(calls).toHaveLength(1);
    fail(() => false);
    await clock.advanceAsync(60_000);

    expect(calls).toHaveLength(1);
    expect(await writes.deadLetters.list()).toMatchObject([{ key: 'a', reason: 'no' }]);
    expect(writes.status().pending).toBe(0);
  });

  test('to be read: calls reject, and the next one tries again', async () => {
    const { queue, fail, stored } = scriptedQueue();
    await setupWrites({ queue: stored }).writes.put('kept', '1');
    fail((operation) => operation === 'load' || operation === 'listDead');
    const { writes, events } = setupWrites({ queue });

    for (const call of [writes.put('a', '1'), writes.read('a'), writes.flush(), writes.deadLetters.list()])
      await expect(call).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    expect(events.some(({ type }) => type === 'queue-error')).toBe(true);
    fail(() => false);

    await writes.put('a', '1');
    expect(await writes.read('kept')).toBe('1');
  });

  test('to give what it holds, and says nothing: calls reject rather than wait for ever', async () => {
    const queue = Object.assign(memoryQueue(), { load: () => undefined as never });
    const { writes, events, settle } = setupWrites({ queue });
    const reasons: unknown[] = [];

    for (const call of [writes.put('a', '1'), writes.read('a')]) call.catch((reason: unknown) => reasons.push(reason));
    await settle();

    const error = { code: 'SOLOFLIGHT_WRITE_QUEUE', cause: expect.any(TypeError) };
    expect(reasons).toMatchObject([error, error]);
    expect(events).toMatchObject([{ type: 'queue-error', operation: 'load' }]);
  });

  test('to give what it holds, at once: the next call tries again', async () => {
    const queue = memoryQueue();
    const load = queue.load.bind(queue);
    let failures = 1;
    queue.load = () => {
      if (failures-- > 0) throw new Error('locked');
      return load();
    };
    const { writes } = setupWrites({ queue });

    await expect(writes.read('a')).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });

    await writes.put('a', '1');
    expect(await writes.read('a')).toBe('1');
  });

  test('to be read when its window ends: tried again later, without anybody asking', async () => {
    const { queue, fail, stored } = scriptedQueue();
    await setupWrites({ queue: stored }).writes.put('kept', '1');
    fail((operation) => operation === 'load');
    const { clock, calls } = setupWrites({ queue });

    await clock.advanceAsync(5_000);
    fail(() => false);
    await clock.advanceAsync(5_000);

    expect(calls).toHaveLength(1);
  });
});

describe('a queue that holds something unreadable', () => {
  test('is read all the same: the unreadable is reported, the rest delivered in order', async () => {
    const stored = memoryQueue();
    const before = setupWrites({ queue: stored });
    await before.writes.put('b', '1');
    await before.writes.put('a', '1');
    const [b, a] = stored.load() as QueuedWrite[];
    const corrupt = new UndecodableError('c', 'test');
    const queue: WriteQueue = {
      name: 'corrupt',
      load: () => [a!, corrupt, { ...b!, sequence: NaN }, undefined as never, { ...b! }],
      put: () => {},
      remove: () => {},
      listDead: () => [corrupt],
    };
    const { writes, events, settle, delivered } = setupWrites({ queue });

    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['b=1', 'a=1']]);
    const errors = events.flatMap((event) => (event.type === 'queue-error' ? [event.error] : []));
    expect(errors).toHaveLength(3);
    expect(errors[0]).toBe(corrupt);
    expect(await writes.deadLetters.list()).toEqual([]);
  });
});

describe('what comes while the queue is being read', () => {
  test('comes after what it holds, in the order of the calls', async () => {
    const { queue, stored, hold, release } = scriptedQueue();
    const before = setupWrites({ queue: stored });
    await before.writes.put('a', '1');
    hold();
    const { writes, settle } = setupWrites({ queue, merge: (a, b) => a + b });

    const puts = [writes.put('a', '2'), writes.put('a', '3')];
    expect(writes.peek('a')).toBeUndefined();
    await settle();
    release();
    await settle();
    puts.push(writes.put('a', '4'));
    await Promise.all(puts);

    // What was never tried is taken in, also after a restart.
    expect(await writes.read('a')).toBe('1234');
    expect(writes.status().pending).toBe(1);
  });

  test('a second write-behind finds nothing but what is left', async () => {
    const queue = memoryQueue();
    const first = setupWrites({ queue });
    await first.writes.put('a', '1');
    void first.writes.flush();
    await first.settle();
    await first.writes.put('a', '2');
    first.calls[0]!.answer();
    await first.settle();

    const second = setupWrites({ queue });
    expect(await second.writes.read('a')).toBe('2');
    expect(second.writes.status().pending).toBe(1);
  });
});

describe('what a queue gives that is no write', () => {
  const dead = { cause: 'rejected', reason: 'no', at: 1 };

  test.each<[string, object]>([
    ['without an id', { id: undefined }],
    ['of an unknown kind', { kind: 'patch' }],
    ['with a sequence that is no number', { sequence: '1' }],
    ['with a `dead` that is no reason', { dead: true }],
    ['with a `dead` of an unknown cause', { dead: { ...dead, cause: 'bored' } }],
    ['with a `dead` without an instant', { dead: { ...dead, at: null } }],
  ])('%s is told and not delivered, and costs the others nothing', async (_, changes) => {
    const broken = { ...sampleWrite(1, { value: 'broken' }), ...changes } as QueuedWrite;
    const queue = memoryQueue();
    queue.load = () => [broken, sampleWrite(2, { value: 'whole' })];
    const { writes, calls, events, settle } = setupWrites({ queue });
    void writes.flush();
    await settle();

    expect(calls.map((call) => call.writes.map(({ value }) => value))).toEqual([['whole']]);
    expect(events).toContainEqual({ type: 'queue-error', operation: 'load', error: expect.any(TypeError) });
  });
});
