import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import { memoryQueue, WriteBehind, type PendingWrite } from '../../src/writes/index.js';
import { setupWrites } from '../support/setup-writes.ts';

interface Counter {
  n: number;
}

describe('a value that its caller changes after it was accepted', () => {
  test('reaches the sink, the queue and readers as it was', async () => {
    const queue = memoryQueue();
    const { writes, calls, settle } = setupWrites<Counter>({ queue });
    const value = { n: 1 };
    await writes.put('k', value);

    value.n = 2;
    void writes.flush();
    await settle();

    expect(calls[0]?.writes[0]?.value).toEqual({ n: 1 });
    expect(writes.peek('k')?.value).toEqual({ n: 1 });
    expect(await queue.load()).toMatchObject([{ value: { n: 1 } }]);
  });

  test('is the same in each attempt, whatever the sink makes of it', async () => {
    const { writes, calls, settle, clock } = setupWrites<Counter>();
    const value = { n: 1 };
    await writes.put('k', value);
    void writes.flush();
    await settle();

    value.n = 2;
    (calls[0]?.writes[0]?.value as Counter).n = 3;
    calls[0]?.answer(['retry']);
    await clock.advanceAsync(2_000);

    expect(calls[1]?.writes).toMatchObject([{ id: calls[0]?.writes[0]?.id, value: { n: 1 } }]);
  });

  test('counts as of the call, also while the queue is being read', async () => {
    const { writes, settle } = setupWrites<Counter>({ queue: memoryQueue() });
    const value = { n: 1 };
    const accepted = writes.put('k', value);
    value.n = 2;
    await accepted;
    await settle();

    expect(writes.peek('k')?.value).toEqual({ n: 1 });
  });

  test.each(['none', 'freeze', 'clone'] as const)('counts as of the call of a cache (isolate %s)', async (isolate) => {
    const seen: unknown[] = [];
    const writes = new WriteBehind<Counter>({ sink: (batch) => void seen.push(...batch.map(({ value }) => value)) });
    const cache = new TieredCache<Counter>({ ttl: '1m', isolate, writes });
    const value = { n: 1 };
    await cache.set('k', value);

    Reflect.set(value, 'n', 2);
    await writes.close();
    await cache.close();

    expect(seen).toEqual([{ n: 1 }]);
  });
});

describe('what is handed out', () => {
  test('may be changed without changing the pending value', async () => {
    const { writes } = setupWrites<Counter>();
    await writes.put('k', { n: 1 });

    (await writes.read('k'))!.n = 2;
    writes.peek('k')!.value!.n = 3;

    expect(await writes.read('k')).toEqual({ n: 1 });
  });

  test('of an update is neither the pending value nor becomes it', async () => {
    const { writes } = setupWrites<Counter>();
    await writes.put('k', { n: 1 });
    const result = await writes.update('k', (current = { n: 0 }) => {
      current.n += 1;
      return current;
    });
    result.n = 99;

    await expect(
      writes.update('k', (current) => {
        (current as Counter).n = 50;
        throw new Error('no');
      }),
    ).rejects.toThrow('no');

    expect(await writes.read('k')).toEqual({ n: 2 });
  });

  test('to `merge` may be changed, and kept, without changing what is being delivered', async () => {
    const kept: number[][] = [];
    const { writes, calls, settle } = setupWrites<number[]>({
      merge(pending, incoming) {
        pending.push(...incoming);
        kept.push(pending);
        return pending;
      },
    });
    await writes.put('k', [1]);
    await writes.put('k', [2]);
    kept[0]?.push(99);
    void writes.flush();
    await settle();
    await writes.put('k', [3]);
    const read = await writes.read('k');
    calls[0]?.answer(['retry']);
    await settle();
    void writes.flush();
    await settle();

    expect(read).toEqual([1, 2, 3]);
    expect(calls.map((call) => call.writes[0]?.value)).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('to `resolve` may be changed, and the conflicting id keeps its value', async () => {
    const seen: PendingWrite<Counter>[] = [];
    const answer = { n: 7 };
    const { writes, calls, settle } = setupWrites<Counter>({
      resolve(local, _remote, _key, write) {
        local.n = 5;
        seen.push(write);
        return answer;
      },
    });
    await writes.put('k', { n: 1 });
    void writes.flush();
    await settle();
    calls[0]?.answer([{ conflict: { n: 0 } }]);
    await settle();
    answer.n = 8;
    void writes.flush();
    await settle();

    expect(calls[1]?.writes[0]?.value).toEqual({ n: 7 });
    expect(calls[1]?.writes[0]?.id).not.toBe(seen[0]?.id);
  });

  test('as a dead letter may be changed, and is requeued as it was', async () => {
    const { writes, calls, settle } = setupWrites<Counter>();
    await writes.put('k', { n: 1 });
    void writes.flush();
    await settle();
    calls[0]?.answer([{ reject: 'no' }]);
    await settle();

    const [letter] = await writes.deadLetters.list();
    letter!.value!.n = 2;
    await writes.deadLetters.requeue(letter!.id);

    expect(await writes.read('k')).toEqual({ n: 1 });
  });
});

describe('a value', () => {
  class Money {
    readonly amount = 1;
  }
  const shared = { list: [1, { deep: true }], when: new Date(5), map: new Map([['a', new Set([1])]]) };
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const sparse = [1];
  sparse[2] = 3;

  test.each<[string, unknown, unknown]>([
    ['of plain data', { a: [1, [2, { b: null }]], c: undefined }, { a: [1, [2, { b: null }]], c: undefined }],
    ['with dates, maps and sets', shared, structuredClone(shared)],
    ['with a cycle', cyclic, structuredClone(cyclic)],
    ['that is a sparse array', sparse, structuredClone(sparse)],
    ['with a long array', { list: Array.from({ length: 500 }, (_, index) => index) }, undefined],
    ['with `__proto__` as a name', JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"a":1}}')],
    ['of a class', new Money(), { amount: 1 }],
  ])('%s is delivered as `structuredClone` makes it', async (_, value, expected) => {
    const { writes } = setupWrites<unknown>();
    await writes.put('k', value);

    const held = await writes.read('k');

    expect(held).toStrictEqual(expected ?? value);
    expect(held).not.toBe(value);
  });

  test.each([[() => {}], [Symbol('s')], [{ deep: [() => {}] }], [new WeakMap()]])(
    'that can not be cloned is refused (%s)',
    async (value: unknown) => {
      const { writes } = setupWrites<unknown>();

      await expect(writes.put('k', value)).rejects.toThrow(
        /Expected `value` to be a value that `structuredClone` takes/,
      );

      expect(writes.status().pending).toBe(0);
    },
  );
});
