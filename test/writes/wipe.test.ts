import { describe, expect, test } from 'vitest';

import type { WriteQueue } from '../../src/contracts.js';
import { TieredCache } from '../../src/index.js';
import { memoryQueue } from '../../src/writes/index.js';
import { outcomesOf, setupWrites } from '../support/setup-writes.js';

const DISCARDED = { reason: { code: 'SOLOFLIGHT_WRITES_DISCARDED' } };

/** A queue that answers when the test lets it. */
function slowQueue() {
  const stored = memoryQueue();
  const held: (() => void)[] = [];
  let isHolding = false;
  const call = async <T>(run: () => T): Promise<Awaited<T>> => {
    if (isHolding) await new Promise<void>((resolve) => held.push(resolve));
    return await run();
  };
  const queue: WriteQueue = {
    name: 'slow',
    load: () => call(() => stored.load()),
    put: (writes) => call(() => stored.put(writes)),
    remove: (ids) => call(() => stored.remove(ids)),
    listDead: () => call(() => stored.listDead()),
  };
  const release = (): void => {
    isHolding = false;
    for (const go of held.splice(0)) go();
  };
  return { queue, stored, hold: () => (isHolding = true), release };
}

describe.each([
  ['a queue that answers at once', memoryQueue],
  ['a queue that answers later', () => slowQueue().queue],
  ['no queue', () => undefined],
])('wiping writes with %s', (_which, makeQueue) => {
  const setup = () => {
    const queue = makeQueue();
    return { queue, ...setupWrites({ flushEvery: '1s', retry: { attempts: 1 }, ...(queue && { queue }) }) };
  };

  test('gives up what is pending: reads find nothing, and nothing is delivered afterwards', async () => {
    const { queue, writes, calls, events, clock } = setup();
    await writes.put('a', 'secret');
    await writes.put('b', 'secret');

    await writes.wipe();

    expect([await writes.read('a'), writes.status().pending]).toEqual([undefined, 0]);
    expect(events.filter(({ type }) => type === 'discard')).toMatchObject([{ key: 'a' }, { key: 'b' }]);
    await clock.advanceAsync(100_000);
    await writes.flush();
    expect(calls).toEqual([]);
    expect(await queue?.load()).toEqual(queue && []);
  });

  test('forgets dead letters', async () => {
    const { writes, calls, settle } = setup();
    await writes.put('a', 'secret');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ reject: 'no' }]);
    await settle();
    expect(await writes.deadLetters.list()).toHaveLength(1);

    await writes.wipe();

    expect(await writes.deadLetters.list()).toEqual([]);
  });

  test('aborts the delivery under way, whose end brings nothing back', async () => {
    const { queue, writes, calls, clock, settle } = setup();
    await writes.put('a', 'secret');
    void writes.flush();
    await settle();

    await writes.wipe();
    calls[0]!.fail(new Error('down'));
    await clock.advanceAsync(100_000);

    expect(calls[0]!.context.signal.aborted).toBe(true);
    expect([calls.length, await writes.deadLetters.list(), await queue?.load()]).toEqual([1, [], queue && []]);
  });

  test('accepts and delivers what comes later, also for the same key', async () => {
    const { queue, writes, calls, delivered, settle } = setup();
    await writes.put('a', 'theirs');
    void writes.flush();
    await settle();

    const wiped = writes.wipe();
    const put = writes.put('a', 'mine');
    await Promise.all([wiped, put]);
    const held = await queue?.load();
    expect(held?.map((write) => 'value' in write && write.value)).toEqual(queue && ['mine']);
    calls[0]!.answer(['ok']);
    void writes.flush();
    await settle();

    expect(delivered()).toEqual([['a=theirs'], ['a=mine']]);
    calls[1]!.answer(['ok']);
    await settle();
    expect(writes.status().pending).toBe(0);
  });
});

describe('what waits to be accepted when writes are wiped', () => {
  test('is refused, and never delivered: a put that waits for room, an update that waits for its value', async () => {
    const { writes, calls, clock } = setupWrites({ maxPending: 1, queue: memoryQueue(), flushEvery: '1s' });
    await writes.put('a', '1');
    let answer = (_value: string): void => {};
    const current = (): Promise<string> => new Promise((resolve) => (answer = resolve));
    const waiting = [writes.put('b', '2'), writes.update('c', (value) => `${value}!`, { current })];
    await clock.advanceAsync(0);

    await writes.wipe();
    answer('3');

    expect(await outcomesOf(waiting)).toMatchObject([DISCARDED, DISCARDED]);
    await clock.advanceAsync(10_000);
    expect(calls).toEqual([]);
  });

  test('is refused although the queue was about to get it', async () => {
    const { queue, stored, hold, release } = slowQueue();
    const { writes, settle } = setupWrites({ queue, flushEvery: '1s' });
    await writes.put('z', '0');
    hold();
    const puts = [writes.put('a', '1')];
    await settle();
    puts.push(writes.put('b', '2'));
    await settle();

    const wiped = writes.wipe();
    await settle();
    release();
    await wiped;

    expect(await outcomesOf(puts)).toMatchObject([undefined, DISCARDED]);
    expect(await stored.load()).toEqual([]);
  });

  test('is not delivered although it was being marked for its delivery', async () => {
    const { queue, hold, release } = slowQueue();
    const { writes, calls, settle } = setupWrites({ queue, flushEvery: '1s' });
    await writes.put('a', '1');
    hold();
    void writes.flush();
    await settle();

    const wiped = writes.wipe();
    await settle();
    release();
    await wiped;
    await settle();

    expect([calls, await queue.load()]).toEqual([[], []]);
  });
});

describe('wiping', () => {
  test('rejects if the queue can not be emptied, and may be tried again', async () => {
    const stored = memoryQueue();
    let isDown = true;
    const remove: WriteQueue['remove'] = (ids) => {
      if (isDown) throw new Error('down');
      return stored.remove(ids);
    };
    const { writes } = setupWrites({ queue: { ...bound(stored), remove } });
    await writes.put('a', '1');

    await expect(writes.wipe()).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    isDown = false;
    await writes.wipe();

    expect(await stored.load()).toEqual([]);
  });

  test('of closed writes is refused', async () => {
    const { writes } = setupWrites({ queue: memoryQueue() });
    await writes.close();

    await expect(writes.wipe()).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITES_CLOSED' });
  });

  test('makes a cache over the writes forget what was pending', async () => {
    const { writes, clock } = setupWrites({ queue: memoryQueue(), flushEvery: '1h' });
    const cache = new TieredCache<string>({ ttl: '1m', clock, upstream: () => 'from the server', writes });
    await cache.set('k', 'secret');
    expect(await cache.get('k')).toBe('secret');

    await writes.wipe();

    expect(await cache.get('k')).toBe('from the server');
  });
});

function bound(queue: WriteQueue): WriteQueue {
  return {
    name: 'failing',
    load: () => queue.load(),
    put: (writes) => queue.put(writes),
    remove: (ids) => queue.remove(ids),
    listDead: () => queue.listDead(),
  };
}
