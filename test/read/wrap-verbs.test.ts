import { describe, expect, test } from 'vitest';

import { mapStorage, type LoadContext } from '../../src/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('a wrapped function', () => {
  test('stores a result that is set, and makes it stale, by the same arguments and lifetime', async () => {
    const { cache, clock } = setupCache();
    let calls = 0;
    const find = cache.wrap(async (id: number): Promise<string> => `loaded ${id} ${(calls += 1)}`, {
      name: 'find',
      ttl: '1h',
      tags: (id) => [`post:${id}`],
    });

    await find.set([1], 'set');
    clock.advance(60_000);

    expect(await find(1)).toBe('set');
    expect((await find.lookup(1)).tags).toEqual(['post:1']);
    await find.expire(1);
    expect(await find(1)).toBe('set');
    await settle();
    expect(await find(1)).toBe('loaded 1 1');
  });

  test('clears its own results and no others, in memory, in storage and under way', async () => {
    const { cache } = setupCache({ storage: mapStorage() });
    let version = 1;
    const find = cache.wrap(async (id: number): Promise<string> => `find ${id} ${version}`, { name: 'find' });
    const findAll = cache.wrap(async (id: number): Promise<string> => `all ${id} ${version}`, { name: 'find all' });
    const named = cache.wrap(async (id: number): Promise<string> => `own ${id} ${version}`, {
      name: 'named',
      key: (id) => `4:find${id}`,
    });
    await Promise.all([find(1), find(2), findAll(1), named(1)]);
    version = 2;

    await find.clear();

    expect(await Promise.all([find(1), find(2), findAll(1), named(1)])).toEqual([
      'find 1 2',
      'find 2 2',
      'all 1 1',
      'own 1 1',
    ]);
    await named.clear();
    expect(await named(1)).toBe('own 1 2');
  });

  test('takes a caller’s signal, which ends that caller’s wait alone', async () => {
    const { cache } = setupCache();
    const slow = Promise.withResolvers<string>();
    const find = cache.wrap((_id: number) => slow.promise, { name: 'find' });
    const leaving = new AbortController();

    const left = find.with({ signal: leaving.signal })(1);
    const stays = find(1);
    leaving.abort(new Error('left'));
    slow.resolve('v');

    await expect(left).rejects.toThrow('left');
    expect(await stays).toBe('v');
    expect(await find.with({ maxStale: 0 })(1)).toBe('v');
  });

  test('is given the load, whose signal aborts when everybody has left, and which is no part of the key', async () => {
    const { cache } = setupCache();
    const seen: LoadContext<string>[] = [];
    const find = cache.wrap(
      async (id: number, load: LoadContext<string>): Promise<string> => {
        seen.push(load);
        return new Promise((_, reject) =>
          load.signal.addEventListener('abort', () => reject(new Error(`end of ${id}`))),
        );
      },
      { name: 'find', withLoad: true },
    );
    const leaving = new AbortController();

    const left = find.with({ signal: leaving.signal })(1);
    await settle();
    leaving.abort(new Error('left'));

    await expect(left).rejects.toThrow('left');
    expect(seen.map(({ key, reason, signal }) => [key, reason, signal.aborted])).toEqual([
      [find.keyFor(1), 'miss', true],
    ]);
  });

  test('is given its own arguments alone, unless it asks for the load', async () => {
    const { cache } = setupCache();
    const find = cache.wrap(async (...args: number[]) => String(args.length), { name: 'find' });

    expect(await find(1, 2)).toBe('2');
    expect(() => cache.wrap(async () => '', { name: 'find', withLoad: 1 as never })).toThrow('Expected `withLoad`');
  });
});
