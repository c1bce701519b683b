import { describe, expect, test } from 'vitest';

import { watchRejections } from '../../src/testing/index.js';
import { memoryQueue, type PendingWrite, type WriteBehindOptions, type WriteOutcome } from '../../src/writes/index.js';
import { picture, setupWrites } from '../support/setup-writes.js';

describe('a sink that fails as a whole', () => {
  test.each([
    ['an error', new Error('down')],
    ['undefined', undefined],
    ['null', null],
  ])('with %s loses nothing: all is tried again with the same ids, after a pause', async (_, reason) => {
    const { writes, clock, calls, events } = setupWrites({ maxBatch: 2 });

    void writes.put('a', '1');
    void writes.put('b', '1');
    await clock.advanceAsync(0);
    calls[0]!.fail(reason);
    await clock.advanceAsync(749); // half a second, and half of the other half by the chance of 0.5
    expect(calls).toHaveLength(1);
    expect(writes.status()).toMatchObject({ pending: 2, inFlight: 0, failures: 1, lastError: reason });
    expect(events).toContainEqual({
      type: 'batch-error',
      size: 2,
      durationMs: 0,
      retryAt: clock.now() + 1,
      error: reason,
    });
    await clock.advanceAsync(1);
    calls[1]!.answer();
    await clock.advanceAsync(0);
    calls[2]!.answer();
    await clock.advanceAsync(0);

    const ids = calls.map((call) => call.writes.map(({ id }) => id));
    expect([...ids[1]!, ...ids[2]!]).toEqual(ids[0]);
    expect(writes.status()).toMatchObject({ pending: 0, failures: 0, lastError: reason, nextAttempt: null });
  });

  test('and throws at once is no different', async () => {
    let calls = 0;
    const { writes } = setupWrites({
      sink: () => {
        calls += 1;
        throw new Error('at once');
      },
    });

    await writes.put('a', '1');
    await writes.flush();

    expect(calls).toBe(1);
    expect(writes.status()).toMatchObject({ pending: 1, lastError: new Error('at once') });
  });

  test('is asked once per pause, the pauses double, and a flush meanwhile is a try of its own', async () => {
    const { writes, clock, calls } = setupWrites({ retry: { initial: 1_000, max: 3_000 } });

    await writes.put('a', '1');
    void writes.flush();
    const at: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      while (calls.length === count) await clock.advanceAsync(10);
      at.push(Math.round(clock.monotonic()));
      calls[count]!.fail(new Error('down'));
    }
    const pauses = at.slice(1).map((instant, index) => instant - (at[index] as number));
    expect(pauses).toEqual([750, 1_500, 2_250, 2_250]);

    await clock.advanceAsync(0);
    void writes.flush();
    await clock.advanceAsync(0);
    expect(calls).toHaveLength(6);
  });

  test('a flush asked for while a delivery is failing tries once more', async () => {
    const { writes, settle, calls } = setupWrites();

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    const flush = writes.flush();
    calls[0]!.fail(new Error('was offline'));
    await settle();
    expect(calls).toHaveLength(2);
    calls[1]!.answer();
    await flush;

    expect(writes.status().pending).toBe(0);
  });

  test('with a reason that has no text form ends the write whose attempts are used up, and the next one follows', async () => {
    const { writes, settle, calls, delivered } = setupWrites({ retry: { attempts: 1 } });

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    await writes.put('a', '2');
    calls[0]!.fail(Object.create(null));
    await settle();
    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['a=1'], ['a=2']]);
    expect(await writes.deadLetters.list()).toMatchObject([
      { value: '1', cause: 'exhausted', reason: expect.stringContaining('no text form') },
    ]);
  });

  test('new writes do not shorten its pause', async () => {
    const { writes, clock, calls } = setupWrites({ maxBatch: 1, flushEvery: 10, retry: { initial: 10_000 } });

    await writes.put('a', '1');
    await clock.advanceAsync(0);
    calls[0]!.fail(new Error('down'));
    await clock.advanceAsync(0);
    for (const key of ['b', 'c', 'd']) await writes.put(key, '1');
    await clock.advanceAsync(7_499);

    expect(calls).toHaveLength(1);
  });
});

describe('a poison write', () => {
  test('is found by smaller and smaller batches, and from then on fails alone', async () => {
    const batches: string[] = [];
    const taken: string[] = [];
    const { writes, clock } = setupWrites({
      maxBatch: 8,
      retry: { initial: 100, max: 10_000 },
      sink: (batch) => {
        batches.push(batch.map(({ key }) => key).join(''));
        if (batch.some(({ key }) => key === 'f')) throw new Error('poison');
        taken.push(...batch.map(({ key }) => key));
      },
    });

    for (const key of 'abcdefgh'.split('')) void writes.put(key, '1');
    await clock.advanceAsync(2_000);

    expect(taken.join('')).toBe('abcdegh');
    expect(batches[0]).toBe('abcdefgh');
    expect(writes.status().pending).toBe(1);
    const before = batches.length;
    for (const key of 'ij'.split('')) void writes.put(key, '1');
    await writes.flush();
    // Alone, and the others do not wait for it.
    await clock.advanceAsync(10_000);
    expect(taken.join('')).toBe('abcdeghij');
    expect(batches.slice(before).filter((batch) => batch.includes('f') && batch !== 'f')).toEqual([]);
  });
});

test('retries that are used up condemn the write that fails alone, not those that shared its batches', async () => {
  const taken: string[] = [];
  const { writes, clock } = setupWrites({
    maxBatch: 16,
    retry: { attempts: 2, initial: 10, max: 20 },
    sink: (batch) => {
      if (batch.some(({ key }) => key === 'a')) throw new Error('poison');
      taken.push(...batch.map(({ key }) => key));
    },
  });

  for (const key of 'abcdefghijklmnop'.split('')) void writes.put(key, '1');
  await clock.advanceAsync(5_000);

  expect(taken.toSorted().join('')).toBe('bcdefghijklmnop');
  expect(await writes.deadLetters.list()).toMatchObject([{ key: 'a', cause: 'exhausted' }]);
});

describe('a sink that hangs', () => {
  test('is told to stop, then given up; meanwhile nothing of it is delivered again', async () => {
    const { writes, clock, calls } = setupWrites({ maxDuration: 1_000, retry: { initial: 100 } });

    await writes.put('a', '1');
    void writes.flush();
    await clock.advanceAsync(999);
    await writes.put('a', '2');
    expect(calls[0]!.context.signal.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(calls[0]!.context.signal.reason).toMatchObject({ code: 'SOLOFLIGHT_DELIVERY_TIMEOUT', maxDuration: 1_000 });
    await clock.advanceAsync(999);
    expect(calls).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(writes.status()).toMatchObject({ failures: 1, inFlight: 0 });
    await clock.advanceAsync(100);

    expect(calls.map(({ writes: [write] }) => [write!.value, write!.attempts])).toEqual([
      ['1', 1],
      ['1', 2],
    ]);
    expect(calls[1]!.writes[0]!.id).toBe(calls[0]!.writes[0]!.id);
  });

  test('and answers late, but before it is given up, has answered', async () => {
    const { writes, clock, calls } = setupWrites({ maxDuration: 1_000 });

    await writes.put('a', '1');
    void writes.flush();
    await clock.advanceAsync(1_500);
    calls[0]!.answer(['ok']);
    await clock.advanceAsync(60_000);

    expect(calls).toHaveLength(1);
    expect(writes.status().pending).toBe(0);
  });

  test('and answers after it was given up changes nothing any more', async () => {
    const { writes, clock, calls } = setupWrites({ maxDuration: 1_000 });

    await writes.put('a', '1');
    void writes.flush();
    await clock.advanceAsync(3_000);
    expect(calls).toHaveLength(2);
    calls[0]!.answer([{ reject: 'late' }]);
    await clock.advanceAsync(0);
    expect(writes.status()).toMatchObject({ pending: 1, inFlight: 1 });
    calls[1]!.answer(['ok']);
    await clock.advanceAsync(0);

    expect(writes.status().pending).toBe(0);
    expect(await writes.deadLetters.list()).toEqual([]);
  });
});

describe('a sink whose answer makes no sense', () => {
  test.each([
    ['partially', ['ok'], '1 outcomes'],
    ['for keys it was not given, or twice', ['ok', 'ok', 'ok'], '3 outcomes'],
    ['with something else', { a: 'ok' } as never, 'object'],
    ['null', null as never, 'null'],
  ])('and answers %s: nobody knows, so all is tried again', async (_, answer, got) => {
    const { writes, settle, calls } = setupWrites();

    await writes.put('a', '1');
    await writes.put('b', '1');
    const flush = writes.flush();
    await settle();
    calls[0]!.answer(answer as readonly WriteOutcome<string>[]);
    await flush;

    const { pending, lastError, failures } = writes.status();
    expect([pending, failures]).toEqual([2, 1]);
    expect(lastError).toBeInstanceOf(TypeError);
    expect((lastError as Error).message).toContain('an array of 2 outcomes in the order of the writes');
    expect((lastError as Error).message).toContain(got);
  });

  test.each([
    ...[undefined, null, 'okay', 5, {}, { reject: 1 }, { conflict: undefined }],
    ...[
      { conflict: 'theirs', at: NaN },
      { conflict: 'theirs', at: '2020-01-01T00:00:00.000Z' },
    ],
  ])('and says %j of one write: that one alone is tried again', async (outcome) => {
    const { writes, settle, calls } = setupWrites();

    await writes.put('a', '1');
    await writes.put('b', '1');
    const flush = writes.flush();
    await settle();
    calls[0]!.answer([outcome as never, 'ok']);
    await flush;

    expect(writes.status()).toMatchObject({ pending: 1, failures: 0 });
    expect(writes.peek('a')).toMatchObject({ value: '1', attempts: 1 });
    expect((writes.status().lastError as Error).message).toContain('Expected `outcome of a write`');
  });

  test('and can not be read: nobody knows, so all is tried again', async () => {
    const { writes, clock, settle, calls } = setupWrites();
    const unreadable = {
      conflict: 'theirs',
      get at(): number {
        throw new Error('no time');
      },
    };

    await writes.put('a', '1');
    await writes.put('b', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer(['ok', unreadable]);
    await settle();
    expect(writes.status()).toMatchObject({ pending: 2, failures: 1, lastError: new Error('no time') });
    await clock.advanceAsync(1_000);

    expect(calls).toHaveLength(2);
  });

  test('a hole in the answer is not taken for ok', async () => {
    const { writes, settle, calls } = setupWrites();

    await writes.put('a', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer(Array.from({ length: 1 }) as never);
    await settle();

    expect(writes.status().pending).toBe(1);
  });
});

describe('a sink that empties the array it is given', () => {
  test('has taken its writes, and later ones follow', async () => {
    const rejections = watchRejections();
    const taken: string[] = [];
    const { writes, clock } = setupWrites({
      sink: (batch) => {
        taken.push(...(batch as PendingWrite<string>[]).splice(0).map(picture));
      },
    });

    for (const key of ['a', 'b']) {
      await writes.put(key, '1');
      await clock.advanceAsync(5_000);
    }

    expect(taken).toEqual(['a=1', 'b=1']);
    expect(writes.status()).toMatchObject({ pending: 0, nextAttempt: null });
    expect(await rejections.take()).toEqual([]);
    rejections.stop();
  });
});

describe('a write that is to be tried again', () => {
  test('pauses alone, longer each time, and its key waits with it', async () => {
    const { writes, clock, calls, delivered, events } = setupWrites({ flushEvery: 10 });

    await writes.put('a', '1');
    await writes.put('b', '1');
    await clock.advanceAsync(10);
    calls[0]!.answer(['retry', 'ok']);
    await clock.advanceAsync(0);
    await writes.put('a', '2');
    await writes.put('c', '1');
    await clock.advanceAsync(10);
    expect(delivered()).toEqual([['a=1', 'b=1'], ['c=1']]);
    calls[1]!.answer();
    await clock.advanceAsync(1_000);
    expect(delivered()[2]).toEqual(['a=1']);
    expect(events.find(({ type }) => type === 'retry')).toMatchObject({ key: 'a', attempts: 1 });
    calls[2]!.answer([new Error('row locked')]);
    await clock.advanceAsync(0);
    expect(writes.status().lastError).toEqual(new Error('row locked'));
    await clock.advanceAsync(1_249);
    expect(calls).toHaveLength(3);
    await clock.advanceAsync(500);
    calls[3]!.answer();
    await clock.advanceAsync(0);

    expect(delivered().slice(3)).toEqual([['a=1'], ['a=2']]);
  });

  test('goes with others that pause about as long, not each in a batch of its own', async () => {
    let random = 0;
    const { writes, clock, calls } = setupWrites({ retry: { initial: 1_000 } });
    clock.random = () => (random += 0.013) % 1;

    for (let index = 0; index < 50; index += 1) await writes.put(`k${index}`, '1');
    await clock.advanceAsync(5_000);
    calls[0]!.answer(Array.from({ length: 50 }, () => 'retry'));
    for (let ms = 0; ms < 2_000; ms += 1) {
      await clock.advanceAsync(1);
      calls.at(-1)!.answer();
    }
    await clock.advanceAsync(0);

    expect(writes.status().pending).toBe(0);
    expect(calls.length).toBeLessThanOrEqual(5);
  });

  test('becomes a dead letter when retryFor is over, counted from its first try', async () => {
    const { writes, clock, calls } = setupWrites({ retryFor: '2s' });

    await writes.put('a', '1');
    await clock.advanceAsync(5_000); // waiting does not count
    for (let count = 0; count < 2; count += 1) {
      calls[count]!.fail(new Error('down'));
      await clock.advanceAsync(4_000);
    }

    expect(calls).toHaveLength(2);
    expect(await writes.deadLetters.list()).toMatchObject([
      { key: 'a', value: '1', attempts: 2, cause: 'exhausted', reason: 'not taken in 2 attempts; last error: down' },
    ]);
  });

  test('becomes a dead letter after its attempts, and the next write of its key follows', async () => {
    const { writes, clock, calls, delivered } = setupWrites({ retry: { attempts: 2, initial: 10 } });

    await writes.put('a', '1');
    void writes.flush();
    await clock.advanceAsync(0);
    calls[0]!.answer(['retry']);
    await writes.put('a', '2');
    await clock.advanceAsync(100);
    calls[1]!.answer(['retry']);
    await clock.advanceAsync(5_000);

    expect(delivered()).toEqual([['a=1'], ['a=1'], ['a=2']]);
    expect(await writes.deadLetters.list()).toMatchObject([{ value: '1', cause: 'exhausted' }]);
  });
});

describe('a wall clock that jumps', () => {
  test.each([-86_400_000, 86_400_000])(
    'by %i ms moves no delivery, ends no retry and mixes up no order',
    async (ms) => {
      const { writes, clock, calls, delivered } = setupWrites({ retryFor: '1h', retry: { initial: 100 } });

      await writes.put('a', '1');
      clock.jump(ms);
      await writes.put('b', '1');
      expect(writes.status().oldestAge).toBeGreaterThanOrEqual(0);
      await clock.advanceAsync(4_999);
      expect(calls).toHaveLength(0);
      await clock.advanceAsync(1);
      calls[0]!.fail(new Error('down'));
      await writes.put('a', '2');
      clock.jump(ms);
      await clock.advanceAsync(75);
      for (const call of [1, 2, 3]) {
        calls[call]?.answer();
        await clock.advanceAsync(5_000);
      }

      expect(delivered()).toEqual([['a=1', 'b=1'], ['a=1'], ['b=1', 'a=2']]);
      expect(await writes.deadLetters.list()).toEqual([]);
    },
  );
});

describe('a conflict', () => {
  const remote = (outcome: WriteOutcome<string>) => {
    const taken: string[] = [];
    const sink = (batch: readonly PendingWrite<string>[]): WriteOutcome<string>[] => {
      taken.push(...batch.map(picture));
      return batch.map((): WriteOutcome<string> => (taken.length === 1 ? outcome : 'ok'));
    };
    return { taken, sink };
  };

  test('goes on with what resolve makes of both, at once, under an id of its own', async () => {
    const ids: string[] = [];
    const { taken, sink } = remote({ conflict: 'theirs' });
    const { writes, events } = setupWrites({
      sink: (batch) => {
        ids.push(...batch.map(({ id }) => id));
        return sink(batch);
      },
      resolve: (local, theirs, key, { kind }) => `${kind} ${key}: ${local}+${theirs}`,
    });

    await writes.put('a', 'mine');
    await writes.flush();

    expect(taken).toEqual(['a=mine', 'a=put a: mine+theirs']);
    expect(new Set(ids).size).toBe(2);
    expect(events.filter(({ type }) => type === 'conflict')).toMatchObject([{ key: 'a', resolution: 'local' }]);
    expect(writes.status().pending).toBe(0);
  });

  test('ends with what the sink holds if resolve says so, and later writes of the key follow', async () => {
    const { taken, sink } = remote({ conflict: 'theirs' });
    const { writes, events } = setupWrites({ sink, resolve: () => 'remote' });

    await writes.put('a', 'mine');
    const flush = writes.flush();
    await Promise.resolve();
    await flush;
    await writes.put('a', 'next');
    await writes.flush();

    expect(taken).toEqual(['a=mine', 'a=next']);
    expect(events.map(({ type }) => type)).toContain('conflict');
    expect(events.filter(({ type }) => type === 'deliver')).toHaveLength(1);
  });

  test.each([
    ['the remote one if that is later', 1, ['a=mine']],
    ['ours if it is later, or as late', 0, ['a=mine', 'a=mine']],
  ])('without resolve keeps %s', async (_, later, expected) => {
    const { writes, clock, settle, calls } = setupWrites();

    await writes.put('a', 'mine');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ conflict: 'theirs', at: clock.now() + later }]);
    await settle();
    calls[1]?.answer();
    await settle();

    expect(calls.flatMap((call) => call.writes.map(picture))).toEqual(expected);
    expect(writes.status().pending).toBe(0);
  });

  test('without resolve and without a time is not decided by us: a dead letter', async () => {
    const { sink } = remote({ conflict: 'theirs' });
    const { writes } = setupWrites({ sink });

    await writes.put('a', 'mine');
    await writes.flush();

    expect(await writes.deadLetters.list()).toMatchObject([{ key: 'a', value: 'mine', cause: 'conflict' }]);
  });

  test('of a delete may become a put, or stay a delete', async () => {
    for (const [answer, expected] of [
      ['kept', ['a-', 'a=kept']],
      [undefined as never, ['a-', 'a-']],
    ] as const) {
      const { taken, sink } = remote({ conflict: 'theirs' });
      const { writes } = setupWrites({ sink, resolve: (local) => local ?? answer });

      await writes.delete('a');
      await writes.flush();

      expect(taken).toEqual(expected);
    }
  });

  test('that resolve can not decide is tried again, and reported', async () => {
    const { sink } = remote({ conflict: 'theirs' });
    const { writes, clock, events } = setupWrites({
      sink,
      resolve: () => {
        throw new Error('cannot');
      },
    });

    await writes.put('a', 'mine');
    await writes.flush();
    expect(events).toContainEqual({ type: 'error', source: 'resolve', error: new Error('cannot') });
    expect(writes.peek('a')?.value).toBe('mine');
    await clock.advanceAsync(5_000);

    expect(writes.status().pending).toBe(0);
  });

  test('without end does not spin', async () => {
    let calls = 0;
    const { writes, clock } = setupWrites({
      sink: () => {
        calls += 1;
        return [{ conflict: 'theirs' }];
      },
      resolve: (local) => local,
    });

    await writes.put('a', 'mine');
    await writes.flush();
    expect(calls).toBe(2);
    await clock.advanceAsync(60_000);

    expect(calls).toBeLessThan(12);
  });

  test.each<[string, Partial<WriteBehindOptions<string>>]>([
    ['its attempts are used up', { retry: { attempts: 3, initial: 10 } }],
    ['retryFor is over', { retryFor: '1s', retry: { initial: 10, max: 10 } }],
  ])('without end becomes a dead letter when %s', async (_, options) => {
    const { writes, clock } = setupWrites({
      sink: () => [{ conflict: 'theirs' }],
      resolve: (local) => local,
      ...options,
    });

    await writes.put('a', 'mine');
    await clock.advanceAsync(60_000);

    expect(await writes.deadLetters.list()).toMatchObject([{ key: 'a', value: 'mine', cause: 'exhausted' }]);
    expect(writes.status()).toMatchObject({ pending: 0, nextAttempt: null });
  });
});

describe('dead letters', () => {
  const rejecting = (keys: string) => (batch: readonly PendingWrite<string>[]) =>
    batch.map(({ key }) => (keys.includes(key) ? { reject: `no ${key}` } : ('ok' as const)));

  test('hold what the sink rejected, with the reason, and nothing else', async () => {
    const { writes, clock, events } = setupWrites({ sink: rejecting('ac') });

    for (const key of 'abc'.split('')) await writes.put(key, '1');
    await writes.flush();

    const letters = await writes.deadLetters.list();
    expect(letters).toMatchObject([
      { key: 'a', kind: 'put', value: '1', attempts: 1, cause: 'rejected', reason: 'no a', deadSince: clock.now() },
      { key: 'c', reason: 'no c' },
    ]);
    expect(writes.status().pending).toBe(0);
    expect(await writes.read('a')).toBeUndefined();
    expect(events).toContainEqual({ type: 'dead-letter', key: 'a', id: letters[0]!.id, reason: 'no a' });
    expect(events.at(-1)).not.toEqual(events.at(0));
  });

  test('can be requeued with the id they had, or dropped', async () => {
    const { writes, calls, events, settle } = setupWrites();
    await writes.put('a', '1');
    await writes.put('b', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ reject: 'no' }, { reject: 'no' }]);
    await settle();

    const [a, b] = await writes.deadLetters.list();
    await writes.deadLetters.drop(b!.id);
    await writes.deadLetters.drop('unknown');
    await writes.deadLetters.requeue(a!.id);
    expect(await writes.deadLetters.list()).toEqual([]);
    expect(await writes.read('a')).toBe('1');
    expect(events.at(-1)).toEqual({ type: 'accept', key: 'a', id: a!.id, coalesced: false });
    void writes.flush();
    await settle();
    calls[1]!.answer();
    await settle();

    expect(calls[1]!.writes).toMatchObject([{ id: a!.id, key: 'a', value: '1', attempts: 2 }]);
    expect(writes.status().pending).toBe(0);
    await expect(writes.deadLetters.requeue(a!.id)).rejects.toMatchObject({
      code: 'SOLOFLIGHT_UNKNOWN_DEAD_LETTER',
    });
  });

  test('are changed one after the other: of two requeues, or a requeue and a drop, one finds nothing', async () => {
    const { writes, calls, settle } = setupWrites();
    await writes.put('a', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ reject: 'no' }]);
    await settle();
    const { id } = (await writes.deadLetters.list())[0]!;

    const changes = [writes.deadLetters.requeue(id), writes.deadLetters.requeue(id), writes.deadLetters.drop(id)];
    const [first, second, third] = await Promise.allSettled(changes);

    expect([first!.status, second!.status, third!.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(writes.status().pending).toBe(1);
  });

  test('are requeued before later writes of their key', async () => {
    const { writes, calls, delivered, settle } = setupWrites();
    await writes.put('a', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ reject: 'no' }]);
    await writes.put('a', '2');
    await settle();

    await writes.deadLetters.requeue((await writes.deadLetters.list())[0]!.id);
    void writes.flush();
    await settle();
    calls[1]!.answer();
    await settle();
    calls[2]!.answer();

    expect(delivered()).toEqual([['a=1'], ['a=1'], ['a=2']]);
  });

  test('outlive the write-behind in a queue that does', async () => {
    const queue = memoryQueue();
    const first = setupWrites({ queue, sink: rejecting('a') });
    await first.writes.put('a', '1');
    await first.writes.close();

    const second = setupWrites({ queue });

    expect(await second.writes.deadLetters.list()).toMatchObject([{ key: 'a', reason: 'no a' }]);
    expect(second.writes.status().pending).toBe(0);
  });
});

describe('a dead letter that is requeued while a later write of its key is being delivered', () => {
  test('is what reads find, since the sink gets it last', async () => {
    const { writes, calls, settle } = setupWrites();
    await writes.put('k', '1');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ reject: 'not now' }]);
    await settle();
    await writes.put('k', '2');
    void writes.flush();
    await settle();

    await writes.deadLetters.requeue((await writes.deadLetters.list())[0]!.id);

    expect(await writes.read('k')).toBe('1');
  });
});
