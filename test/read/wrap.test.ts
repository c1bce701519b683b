import { describe, expect, test } from 'vitest';

import { settle, setupCache } from '../support/setup-cache.js';

describe('a wrapped function', () => {
  test('runs once for concurrent and later calls with equal arguments', async () => {
    const { cache } = setupCache();
    let runs = 0;
    const find = cache.wrap(async function find(filter: { from: number; to: number }) {
      return `${filter.from}-${filter.to} run ${(runs += 1)}`;
    });

    const answers = await Promise.all([find({ from: 1, to: 2 }), find({ to: 2, from: 1 })]);

    expect([...answers, await find({ from: 1, to: 2 })]).toEqual(['1-2 run 1', '1-2 run 1', '1-2 run 1']);
    expect(await find({ from: 1, to: 3 })).toBe('1-3 run 2');
  });

  test('no argument can be forgotten: every one is part of the key', async () => {
    const { cache } = setupCache();
    const find = cache.wrap(async (id: number, user?: string) => `${id} for ${user}`, { name: 'find' });

    expect([await find(1), await find(1, 'ada'), await find(1, 'bob')]).toEqual([
      '1 for undefined',
      '1 for ada',
      '1 for bob',
    ]);
  });

  test('functions of different names never share a key, whatever their own keys look like', () => {
    const { cache } = setupCache();
    const key = (id: string): string => id;
    const ab = cache.wrap(async (id: string) => id, { name: 'ab', key });
    const a = cache.wrap(async (id: string) => id, { name: 'a', key });

    expect(ab.keyFor('c')).not.toBe(a.keyFor('bc'));
    expect(ab.keyFor('1:a,c')).not.toBe(a.keyFor('c'));
  });

  test('keeps `this`', async () => {
    const { cache } = setupCache();
    class Posts {
      readonly prefix = 'post';
      // oxlint-disable-next-line typescript/unbound-method
      readonly find = cache.wrap(this.load);

      async load(id: number): Promise<string> {
        return `${this.prefix} ${id}`;
      }
    }

    expect(await new Posts().find(1)).toBe('post 1');
  });

  test('tells its story, can be refreshed and invalidated by its arguments', async () => {
    const { cache } = setupCache();
    let runs = 0;
    const count = cache.wrap(async (id: string) => `${id}${(runs += 1)}`, { name: 'count' });

    expect(await count.lookup('a')).toMatchObject({ value: 'a1', status: 'miss' });
    expect(await count.lookup('a')).toMatchObject({ value: 'a1', status: 'hit' });
    expect(await count.refresh('a')).toBe('a2');
    await count.invalidate('a');
    expect(cache.peek(count.keyFor('a'))).toBeUndefined();
    expect(await count('a')).toBe('a3');
  });

  test('has a lifetime of its own, and tags by its arguments', async () => {
    const { cache, clock } = setupCache();
    const find = cache.wrap(async (id: string) => id, { name: 'find', ttl: '1h', tags: (id) => [`post:${id}`] });

    await find('7');
    clock.advance(60_000);

    expect(await find.lookup('7')).toMatchObject({ status: 'hit', tags: ['post:7'] });
  });

  test('a failure reaches all callers and is not kept', async () => {
    const { cache } = setupCache();
    let runs = 0;
    const find = cache.wrap(
      async (id: string): Promise<string> => {
        throw new Error(`${id} failed in run ${(runs += 1)}`);
      },
      { name: 'find' },
    );

    await expect(Promise.all([find('a'), find('a')])).rejects.toThrow('a failed in run 1');
    await expect(find('a')).rejects.toThrow('a failed in run 2');
  });

  test('what can make no key is a TypeError: at wrapping, or as a rejection of the call', async () => {
    const { cache } = setupCache();
    const find = cache.wrap(async (_value: unknown) => 'v', { name: 'find' });

    expect(() => cache.wrap(async () => 'v')).toThrow('Expected `name` to be given for a function without a name');
    expect(() => cache.wrap('find' as never)).toThrow('Expected `fn` to be a function');
    expect(() => cache.wrap(async () => 'v', { name: 'x', ttl: -1 })).toThrow('Expected `ttl`');
    await expect(find(() => {})).rejects.toThrow('give a `key` function');
    await expect(cache.wrap(async () => 'v', { name: 'y', key: () => 5 as never })()).rejects.toThrow(
      'Expected `result of key` to be a string',
    );
    void find(Symbol('nobody looks'));
    await settle();
  });
});
