import DataLoader from 'dataloader';
import { describe, expect, test } from 'vitest';

import { loaded, requestScope, TieredCache, type BatchOptions } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { batchedUpstream } from '../../src/writes/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

type Value = string | undefined;

/** A cache whose batches are noted, and answered with their keys in capitals. */
function setup(options: { readonly batch?: BatchOptions } = {}) {
  const batches: string[][] = [];
  const parts = setupCache<Value>({
    loadMany: async (keys) => {
      batches.push([...keys]);
      return keys.map((key) => key.toUpperCase());
    },
    upstream: undefined as never,
    ...options,
  });
  return { ...parts, batches };
}

async function after(awaits: number): Promise<void> {
  for (let turn = 0; turn < awaits; turn += 1) await null;
}

describe('keys asked for in one turn of the event loop', () => {
  test.each([1, 2, 5, 20])('are one call, with %i awaits between them', async (awaits) => {
    const { cache, batches } = setup();

    const first = cache.get('a');
    await after(awaits);
    const second = cache.get('b');

    expect([await first, await second]).toEqual(['A', 'B']);
    expect(batches).toEqual([['a', 'b']]);
  });

  test('are one call for ten resolvers of which half wait for a hit first', async () => {
    const { cache, batches } = setup();
    await cache.set('session', 'known');
    const resolver = async (id: number): Promise<Value> => {
      if (id % 2 === 0) await cache.get('session');
      return cache.get(`user:${id}`);
    };

    await Promise.all(Array.from({ length: 10 }, (_, id) => resolver(id)));

    expect(batches.map(({ length }) => length)).toEqual([10]);
  });

  test('are one call where a callback of nextTick asks for some of them', async () => {
    const { cache, batches } = setup();

    const reads = [cache.get('a')];
    await new Promise<void>((resolve) => process.nextTick(resolve));
    reads.push(cache.get('b'));

    expect(await Promise.all(reads)).toEqual(['A', 'B']);
    expect(batches).toEqual([['a', 'b']]);
  });

  test('of several namespaces and by getMany and refresh are one call', async () => {
    const { cache, batches } = setup();

    const many = cache.getMany(['a', 'b']);
    await after(2);
    const refreshed = cache.refresh('c');
    await after(3);
    const other = cache.namespace('n').get('d');

    expect([await many, await refreshed, await other]).toEqual([['A', 'B'], 'C', 'D']);
    expect(batches).toEqual([['a', 'b', 'c', 'd']]);
  });

  test('are two calls with a turn between them', async () => {
    const { cache, batches } = setup();

    const first = cache.get('a');
    await new Promise((resolve) => setImmediate(resolve));
    const second = cache.get('b');
    await Promise.all([first, second]);

    expect(batches).toEqual([['a'], ['b']]);
  });
});

describe('a query of three levels, resolved as GraphQL does', () => {
  const USERS = Array.from({ length: 12 }, (_, id) => `user:${id}`);

  /** The batches made while each user's team and each team's lead are read, with `idle` awaits in resolver number n. */
  async function resolveAll(load: (key: string) => Promise<Value>, idle: (id: number) => number): Promise<void> {
    await Promise.all(
      USERS.map(async (user, id) => {
        await after(idle(id));
        await load(user);
        await after(idle(id + 1));
        await load(`team:${id % 4}`);
        await after(idle(id + 2));
        await load(`lead:${id % 2}`);
      }),
    );
  }

  const later = <T>(value: T): Promise<T> => new Promise((resolve) => setImmediate(() => resolve(value)));

  test.each([
    ['an upstream that answers in another turn', later],
    ['an upstream that answers at once', async <T>(value: T) => value],
  ])('makes no more batches than DataLoader over %s', async (_name, answer) => {
    for (const idle of [() => 0, (id: number) => id % 3, (id: number) => (id * 7) % 5, (id: number) => id]) {
      const theirs: string[][] = [];
      const dataLoader = new DataLoader<string, Value>(async (keys) => {
        theirs.push([...keys]);
        return answer(keys);
      });
      const ours: string[][] = [];
      const cache = new TieredCache<Value>({
        ttl: '1m',
        loadMany: async (keys) => {
          ours.push([...keys]);
          return answer(keys);
        },
      });

      await resolveAll((key) => dataLoader.load(key), idle);
      await resolveAll((key) => cache.get(key), idle);

      expect(ours.flat().toSorted()).toEqual(theirs.flat().toSorted());
      expect(ours.length).toBeLessThanOrEqual(theirs.length);
    }
  });
});

describe('the option `batch`', () => {
  test('with `max` bounds a call, and none is lost', async () => {
    const { cache, batches } = setup({ batch: { max: 2 } });

    expect(await cache.getMany(['a', 'b', 'c', 'd', 'e'])).toEqual(['A', 'B', 'C', 'D', 'E']);

    expect(batches).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('with `wait` gathers several turns, from the first key on', async () => {
    const { cache, clock, batches } = setup({ batch: { wait: '20ms' } });

    const first = cache.get('a');
    await clock.advanceAsync(19);
    const second = cache.get('b');
    expect(batches).toEqual([]);
    await clock.advanceAsync(1);

    expect([await first, await second]).toEqual(['A', 'B']);
    expect(batches).toEqual([['a', 'b']]);
  });

  test('with both sends a full batch at once, and the timer of it does not cut the next one short', async () => {
    const { cache, clock, batches } = setup({ batch: { wait: 20, max: 2 } });

    const full = cache.getMany(['a', 'b']);
    await settle();
    expect(batches).toEqual([['a', 'b']]);
    await clock.advanceAsync(15);
    const next = cache.get('c');
    await clock.advanceAsync(19);
    expect(batches).toHaveLength(1);
    await clock.advanceAsync(1);

    expect([await full, await next]).toEqual([['A', 'B'], 'C']);
  });

  test('with `wait` spares a key that everybody has left before it goes, and calls nobody for none', async () => {
    const { cache, clock, batches } = setup({ batch: { wait: 20 } });
    const leaving = new AbortController();

    const left = cache.get('a', { signal: leaving.signal });
    const stays = cache.get('b');
    leaving.abort(new Error('left'));
    await clock.advanceAsync(20);
    const alone = cache.get('c', { signal: AbortSignal.any([leaving.signal]) });

    await expect(left).rejects.toThrow('left');
    await expect(alone).rejects.toThrow('left');
    expect(await stays).toBe('B');
    expect(batches).toEqual([['b']]);
  });

  test.each([
    [{ max: 0 }, 'Expected `batch.max` to be an integer ≥ 1 or Infinity'],
    [{ wait: '1 second' }, 'Expected `batch.wait` to be a duration'],
    [{ wait: Infinity }, 'Expected `batch.wait` to be a duration'],
    [{ window: 5 }, 'window'],
    [5, 'Expected `batch` to be an object'],
  ])('is refused as %j', (batch, message) => {
    expect(() => new TieredCache({ ttl: 1, batch: batch as never })).toThrow(message);
  });

  test('with `wait` is refused in request scope, where a timer ends with its request', () => {
    expect(() => new TieredCache({ ttl: 1, scope: requestScope(), batch: { wait: 5 } })).toThrow('requestScope()');
    expect(() => new TieredCache({ ttl: 1, scope: requestScope(), batch: { max: 5 } })).not.toThrow();
  });
});

describe('what `loadMany` answers', () => {
  test('may say of each key how long it lives, in an array and in a Map', async () => {
    const { cache, clock } = setupCache<Value>({
      upstream: undefined as never,
      staleWhileRevalidate: 0,
      loadMany: (keys) =>
        keys.includes('map')
          ? new Map([['map', loaded<Value>('1', { ttl: '1h', tags: ['t'] })]])
          : [loaded<Value>('2', { ttl: '1h' }), '3'],
    });

    expect(await cache.get('map')).toBe('1');
    expect(await cache.getMany(['long', 'short'])).toEqual(['2', '3']);
    clock.advance(60_000);

    expect([cache.peek('map'), cache.peek('long'), cache.peek('short')]).toEqual(['1', '2', undefined]);
    await cache.invalidateTags('t');
    expect(cache.peek('map')).toBeUndefined();
  });

  test('may be a Map with an Error, which fails its key alone', async () => {
    const { cache } = setupCache<Value>({
      upstream: undefined as never,
      staleIfError: 0,
      loadMany: () =>
        new Map<string, Value | Error>([
          ['bad', new Error('no such shard')],
          ['good', '1'],
        ]),
    });

    const outcomes = await cache.lookupMany(['good', 'bad', 'absent']);

    expect(outcomes.map((outcome) => ('value' in outcome ? outcome.value : outcome.error))).toEqual([
      '1',
      new Error('no such shard'),
      undefined,
    ]);
    expect(cache.getStats().loadFailures).toBe(1);
  });
});

describe('batchedUpstream without a window', () => {
  test('adds no timer: keys of one turn are one call, made in that turn', async () => {
    const clock = manualClock();
    const asked: string[][] = [];
    const load = batchedUpstream<string>(
      async (keys) => {
        asked.push([...keys]);
        return [...keys];
      },
      { clock },
    );

    const first = load('a');
    await after(5);
    const second = load('b');

    expect([await first, await second]).toEqual(['a', 'b']);
    expect(asked).toEqual([['a', 'b']]);
    expect(clock.monotonic()).toBe(0);
  });
});
