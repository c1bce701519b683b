import { describe, expect, test } from 'vitest';

import { isSoloflightError, loaded, mapStorage, type Entry, type StorageTier } from '../../src/index.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** A `loadMany` whose every call waits for the test. */
function scriptedLoadMany() {
  const calls: {
    readonly keys: readonly string[];
    readonly signal: AbortSignal;
    readonly answer: (results: unknown) => void;
    readonly fail: (error: unknown) => void;
  }[] = [];
  const loadMany = (keys: readonly string[], { signal }: { readonly signal: AbortSignal }) =>
    new Promise<never>((resolve, reject) => {
      calls.push({ keys, signal, answer: (results) => resolve(results as never), fail: reject });
    });
  return { calls, loadMany };
}

/** An asynchronous storage that counts its round trips. */
function remoteStorage(): { readonly tier: StorageTier; readonly trips: string[] } {
  const inner = mapStorage();
  const trips: string[] = [];
  const get = async (key: string): Promise<Entry | undefined> => {
    trips.push(`get ${key}`);
    return await inner.get(key);
  };
  const getMany = async (keys: readonly string[]): Promise<readonly (Entry | undefined)[]> => {
    trips.push(`getMany ${keys.length}`);
    return await inner.getMany!(keys);
  };
  return { tier: overridden(inner, { get, getMany }), trips };
}

describe('several keys read at once', () => {
  test('are answered in their order, absent ones as undefined, doubled ones twice', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache<string | undefined>({ loadMany });
    await cache.set('held', 'h');

    const read = cache.getMany(['b', 'held', 'a', 'none', 'b']);
    await settle();
    calls[0]!.answer(
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    );

    expect(await read).toEqual(['2', 'h', '1', undefined, '2']);
    expect(calls.map(({ keys }) => keys)).toEqual([['b', 'a', 'none']]);
    expect(await cache.get('a')).toBe('1');
  });

  test('fresh ones in memory cost no load and no flight', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });
    await cache.setMany([
      ['a', '1'],
      ['b', '2'],
    ]);

    expect(await cache.getMany(['b', 'a'])).toEqual(['2', '1']);
    expect(await cache.getMany([])).toEqual([]);

    expect(calls).toHaveLength(0);
    expect(cache.getStats()).toMatchObject({ hits: 2, flights: { led: 0 } });
  });

  test('stale ones are answered at once and reloaded together', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache, clock } = setupCache({ loadMany });
    await cache.setMany([
      ['a', '1'],
      ['b', '2'],
    ]);
    clock.advance(1_500);

    expect(await cache.getMany(['a', 'b'])).toEqual(['1', '2']);
    await settle();
    calls[0]!.answer(['3', '4']);
    await settle();

    expect(await cache.getMany(['a', 'b'])).toEqual(['3', '4']);
    expect(calls).toHaveLength(1);
  });

  test('join flights under way, and are joined key by key', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache, upstream } = setupCache({ loadMany });

    const single = cache.get('a');
    await settle();
    const many = cache.getMany(['a', 'b', 'c']);
    await settle();
    const joined = cache.lookup('c');
    expect(calls.map(({ keys }) => keys)).toEqual([['b', 'c']]);
    upstream.calls[0]!.resolve('1');
    calls[0]!.answer(['2', '3']);

    expect(await single).toBe('1');
    expect(await many).toEqual(['1', '2', '3']);
    expect(await joined).toMatchObject({ value: '3', role: 'follower' });
  });

  test('one key that fails fails alone: `getMany` names it, `lookupMany` gives the others', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });
    const error = new Error('b is broken');

    const many = cache.getMany(['a', 'b']);
    const outcomes = cache.lookupMany(['a', 'b']);
    await settle();
    calls[0]!.answer(['1', error]);

    const failure = await many.catch((reason: unknown) => reason);
    expect(isSoloflightError(failure, 'SOLOFLIGHT_SOME_KEYS_FAILED')).toBe(true);
    expect(failure).toMatchObject({ failures: new Map([['b', error]]), errors: [error], cause: error });
    expect((failure as Error).message).toMatch(/^No value for 'b'/);
    expect(await outcomes).toMatchObject([
      { key: 'a', value: '1', status: 'miss' },
      { key: 'b', status: 'failed', error },
    ]);
    expect(cache.peek('a')).toBe('1');
  });

  test('a key with a fallback falls back alone', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache, clock } = setupCache({ loadMany });
    await cache.set('a', 'old');
    clock.advance(120_000);

    const outcomes = cache.lookupMany(['a', 'b']);
    await settle();
    calls[0]!.fail(new Error('down'));

    expect(await outcomes).toMatchObject([
      { key: 'a', value: 'old', status: 'fallback' },
      { key: 'b', status: 'failed' },
    ]);
  });

  test('a key invalidated meanwhile is not stored, the others are', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });

    const many = cache.getMany(['a', 'b']);
    await settle();
    await cache.invalidate('a');
    calls[0]!.answer(['old', '2']);

    expect(await many).toEqual(['old', '2']);
    expect([cache.peek('a'), cache.peek('b')]).toEqual([undefined, '2']);
  });

  test('a `set` meanwhile wins over the batch', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });

    const many = cache.getMany(['a', 'b']);
    await settle();
    await cache.set('a', 'mine');
    calls[0]!.answer(['old', '2']);
    await many;

    expect(await cache.get('a')).toBe('mine');
  });

  test('the load is aborted only when nobody waits for any of its keys', async () => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });
    const [one, two] = [new AbortController(), new AbortController()];

    const many = cache.getMany(['a', 'b'], { signal: one.signal });
    await settle();
    const joined = cache.get('b', { signal: two.signal });
    one.abort();
    await expect(many).rejects.toMatchObject({ code: 'SOLOFLIGHT_SOME_KEYS_FAILED' });
    expect(calls[0]!.signal.aborted).toBe(false);
    two.abort();

    await expect(joined).rejects.toBe(two.signal.reason);
    expect(calls[0]!.signal.aborted).toBe(true);
    calls[0]!.answer(['1', '2']);
  });

  test.each([
    ['too short an array', ['1']],
    ['something else', { a: '1' }],
    ['nothing', undefined],
  ])('a `loadMany` that answers with %s fails all its keys and leaves nobody waiting', async (_what, results) => {
    const { calls, loadMany } = scriptedLoadMany();
    const { cache } = setupCache({ loadMany });

    const outcomes = cache.lookupMany(['a', 'b']);
    await settle();
    calls[0]!.answer(results);

    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: 'failed',
        error: { message: expect.stringContaining('result of loadMany') as string },
      });
    }
  });

  test('a `loadMany` that throws at once fails its keys', async () => {
    const { cache } = setupCache({
      loadMany: () => {
        throw new Error('at once');
      },
    });

    await expect(cache.getMany(['a', 'b'])).rejects.toMatchObject({ cause: { message: 'at once' } });
  });

  test('a single key goes to `upstream` where there is one, else to `loadMany`', async () => {
    const both = scriptedLoadMany();
    const { cache, upstream } = setupCache({ loadMany: both.loadMany });
    const single = cache.get('a');
    await settle();
    upstream.calls[0]!.resolve(loaded('1', { ttl: '1h' }));
    expect(await single).toBe('1');
    expect(both.calls).toHaveLength(0);

    const alone = scriptedLoadMany();
    const other = setupCache({ loadMany: alone.loadMany, upstream: undefined as never });
    const read = other.cache.get('a');
    await settle();
    alone.calls[0]!.answer(['2']);
    expect(await read).toBe('2');
  });
});

describe('several keys that only storage has', () => {
  test('a burst of 1,000 distinct reads is two round trips, the look at a marker included, whether by `get` or by `getMany`', async () => {
    const { tier, trips } = remoteStorage();
    const keys = Array.from({ length: 1_000 }, (_, index) => `key:${index}`);
    const first = setupCache({ storage: tier });
    await first.cache.setMany(keys.map((key) => [key, key]));
    const one = setupCache({ storage: tier, clock: first.clock });
    const two = setupCache({ storage: tier, clock: first.clock });
    trips.length = 0;

    expect(await Promise.all(keys.map((key) => one.cache.get(key)))).toEqual(keys);
    expect(trips).toEqual(['get key:0', 'getMany 1001']);
    trips.length = 0;
    expect(await two.cache.getMany(keys)).toEqual(keys);

    expect(trips).toEqual(['get key:0', 'getMany 1001']);
  });

  test('a reading of many keys that fails is one failure of the tier: all keys are loaded, and the tier is tried again', async () => {
    const { tier, trips } = remoteStorage();
    let down = true;
    const failing = overridden(tier, {
      getMany: async (keys) => {
        if (down) throw new Error('down');
        return await tier.getMany!(keys);
      },
    });
    const { cache } = setupCache({ storage: failing, upstream: (key) => key, loadMany: (keys) => keys });
    const keys = Array.from({ length: 20 }, (_, index) => `key:${index}`);

    expect(await cache.getMany(keys)).toEqual(keys);
    expect(cache.getStats().tierErrors).toBe(20);
    down = false;
    trips.length = 0;

    expect(await cache.getMany(['x', 'y'])).toEqual(['x', 'y']);
    expect(trips).toEqual(['getMany 3']);
  });

  test('a storage that answers a reading of many with garbage is a miss for each', async () => {
    const { tier } = remoteStorage();
    const storage = overridden(tier, { getMany: async () => ['garbage'] as never });
    const { cache } = setupCache({ storage, upstream: (key) => key, loadMany: (keys) => keys });

    expect(await cache.getMany(['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
  });
});

describe('batch calls that make no sense', () => {
  test('reject at once', async () => {
    const { cache, upstream } = setupCache();

    await expect(cache.getMany('a' as never)).rejects.toThrow(
      "Expected `keys` to be an array of strings, got `'a'` (string)",
    );
    await expect(cache.lookupMany(['a', 5 as never])).rejects.toThrow(
      'Expected `key` to be a string, got `5` (number)',
    );
    await expect(cache.getMany(['a'], { maxStale: -1 })).rejects.toThrow('Expected `maxStale`');
    await expect(cache.setMany([[5 as never, 'v']])).rejects.toThrow('Expected `key` to be a string');
    expect(() => setupCache({ loadMany: {} as never })).toThrow('Expected `loadMany` to be a function');

    expect(upstream.count).toBe(0);
  });
});
