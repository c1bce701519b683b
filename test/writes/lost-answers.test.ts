import { describe, expect, test } from 'vitest';

import type { QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { memoryQueue } from '../../src/writes/index.js';
import { setupWrites } from '../support/setup-writes.js';

type Fate = 'done' | 'lost' | 'failed';

/** A queue that may do what it is asked and fail all the same: the answer was lost. */
function forgetfulQueue(isAsync: boolean) {
  const stored = memoryQueue();
  const fates: { put: Fate; remove: Fate } = { put: 'done', remove: 'done' };
  const calls: string[] = [];
  const change = (operation: 'put' | 'remove', run: () => unknown): void | Promise<void> => {
    calls.push(operation);
    const fate = fates[operation];
    const act = (): void => {
      if (fate !== 'failed') run();
      if (fate !== 'done') throw new Error(`no answer to ${operation}`);
    };
    return isAsync ? Promise.resolve().then(act) : act();
  };
  const queue: WriteQueue = {
    name: 'forgetful',
    load: () => stored.load(),
    listDead: () => stored.listDead(),
    put: (writes) => change('put', () => stored.put(writes)),
    remove: (ids) => change('remove', () => stored.remove(ids)),
  };
  const values = (): unknown[] => (stored.load() as readonly QueuedWrite[]).map(({ value }) => value);
  return { queue, stored, fates, calls, values };
}

describe.each([
  ['slow', true],
  ['prompt', false],
])('a %s queue whose answer to a put was lost', (_, isAsync) => {
  test('has forgotten the write before its caller is told that it was not accepted', async () => {
    const { queue, fates, values } = forgetfulQueue(isAsync);
    const { writes } = setupWrites({ queue });
    await writes.open();
    fates.put = 'lost';

    await expect(writes.put('k', 'refused')).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE', unknown: false });

    expect(values()).toEqual([]);
    expect(await writes.read('k')).toBeUndefined();
  });

  test('holds what was accepted before under the same id', async () => {
    const { queue, fates, values } = forgetfulQueue(isAsync);
    const { writes } = setupWrites({ queue });
    await writes.put('k', 'accepted');
    const put = queue.put.bind(queue);
    // The repair is a put, too.
    queue.put = (all) => {
      fates.put = all.some(({ value }) => value === 'refused') ? 'lost' : 'done';
      return put(all);
    };

    await expect(writes.put('k', 'refused')).rejects.toMatchObject({ unknown: false });

    expect(values()).toEqual(['accepted']);
  });

  test('says that the outcome is unknown if it can not be asked to forget, and takes no later write of that key', async () => {
    const { queue, fates, values, calls } = forgetfulQueue(isAsync);
    const { writes, clock } = setupWrites({ queue, retry: { initial: '1h' } });
    await writes.open();
    Object.assign(fates, { put: 'lost', remove: 'failed' });
    await expect(writes.put('k', 'refused')).rejects.toMatchObject({ unknown: true, key: 'k' });
    expect(values()).toEqual(['refused']);

    fates.put = 'done';
    await expect(writes.put('k', 'later')).rejects.toMatchObject({ unknown: true, key: 'k' });
    await writes.put('other', 'fine');
    expect(values()).toEqual(['refused', 'fine']);

    fates.remove = 'done';
    calls.length = 0;
    await writes.put('k', 'accepted');
    expect(calls).toEqual(['remove', 'put']);
    expect(values()).toEqual(['fine', 'accepted']);
    expect(clock.now()).toBe(setupWrites().clock.now());
  });

  test('is asked again to forget after a while, whether or not anybody writes', async () => {
    const { queue, fates, values } = forgetfulQueue(isAsync);
    const { writes, clock } = setupWrites({ queue, flushEvery: Infinity });
    await writes.open();
    Object.assign(fates, { put: 'lost', remove: 'failed' });
    await expect(writes.put('k', 'refused')).rejects.toMatchObject({ unknown: true });
    await clock.advanceAsync(2_000);
    expect(values()).toEqual(['refused']);

    fates.remove = 'done';
    await clock.advanceAsync(2_000);

    expect(values()).toEqual([]);
  });

  test('is asked again to forget when the writes are closed', async () => {
    const { queue, fates, values } = forgetfulQueue(isAsync);
    const { writes } = setupWrites({ queue });
    await writes.open();
    Object.assign(fates, { put: 'lost', remove: 'failed' });
    await expect(writes.put('k', 'refused')).rejects.toMatchObject({ unknown: true });

    fates.remove = 'done';
    await writes.close({ flush: false });

    expect(values()).toEqual([]);
  });

  test('brings no refused write to the sink of the next process, not even behind a later one', async () => {
    const { queue, fates } = forgetfulQueue(isAsync);
    const { writes, calls, settle } = setupWrites({ queue });
    await writes.open();
    fates.put = 'lost';
    const first = writes.put('k', 'first');
    await expect(first).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    fates.put = 'done';
    await writes.put('k', 'second');
    void writes.flush();
    await settle();
    calls[0]?.answer();
    await settle();

    const next = setupWrites({ queue });
    void next.writes.flush();
    await next.settle();

    expect(calls.map((call) => call.writes.map(({ value }) => value))).toEqual([['second']]);
    expect(next.calls).toEqual([]);
  });

  test('costs nothing more where the value did not change: a mark, a dead letter', async () => {
    const { queue, fates, calls } = forgetfulQueue(isAsync);
    const { writes, clock, calls: sink } = setupWrites({ queue });
    await writes.put('k', 'v');
    calls.length = 0;
    fates.put = 'lost';
    void writes.flush();
    await clock.advanceAsync(0);
    expect(calls).toEqual(['put']);
    fates.put = 'done';
    await clock.advanceAsync(4_000);

    expect(sink.map((call) => call.writes[0]?.value)).toEqual(['v']);
  });
});

test('a group whose answer was lost is forgotten as far as it was refused', async () => {
  const { queue, stored, fates, values } = forgetfulQueue(true);
  const { writes } = setupWrites({ queue });
  await writes.open();
  await writes.put('first', '0');
  let puts = 0;
  const put = queue.put.bind(queue);
  // The group, then one refusal after another until it gives up.
  queue.put = (all) => {
    puts += 1;
    fates.put = 'lost';
    return put(all);
  };

  const results = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => writes.put(`k${index}`, 'v')));

  expect(results.every(({ status }) => status === 'rejected')).toBe(true);
  expect(puts).toBe(4);
  expect(values()).toEqual(['0']);
  expect(stored.load()).toHaveLength(1);
});
