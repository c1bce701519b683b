import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { batchedUpstream, type BatchedUpstreamOptions } from '../../src/writes/index.js';

function setup(options: BatchedUpstreamOptions = { window: 5 }) {
  const clock = manualClock();
  const asked: string[][] = [];
  const load = batchedUpstream<string | undefined>(
    (keys) => {
      asked.push([...keys]);
      return new Map(keys.filter((key) => key !== 'absent').map((key) => [key, key.toUpperCase()]));
    },
    { clock, ...options },
  );
  return { clock, asked, load };
}

describe('an upstream that batches', () => {
  test('asks for different keys together and for identical ones once', async () => {
    const { clock, asked, load } = setup();

    const loads = [load('a'), load('b'), load('a')];
    await clock.advanceAsync(3);
    loads.push(load('absent'));
    await clock.advanceAsync(2);

    expect(await Promise.all(loads)).toEqual(['A', 'B', 'A', undefined]);
    expect(asked).toEqual([['a', 'b', 'absent']]);
  });

  test('goes under a cache: single loads of several turns become one call', async () => {
    const { clock, asked, load } = setup();
    const cache = new TieredCache<string | undefined>({ ttl: '1m', clock, upstream: load });

    const first = cache.get('a');
    await clock.advanceAsync(1);
    const second = cache.get('b');
    await clock.advanceAsync(4);

    expect([await first, await second]).toEqual(['A', 'B']);
    expect(asked).toEqual([['a', 'b']]);
  });

  test('one caller who leaves takes no key away from another', async () => {
    const { clock, asked, load } = setup();
    const leaving = new AbortController();

    const left = load('a', { signal: leaving.signal });
    const stays = load('a');
    const alone = load('b', { signal: leaving.signal });
    leaving.abort('gone');
    await clock.advanceAsync(5);

    await expect(left).rejects.toBe('gone');
    await expect(alone).rejects.toBe('gone');
    expect(await stays).toBe('A');
    expect(asked).toEqual([['a']]);
  });

  test('an array answers by position, an Error failing its key alone', async () => {
    const clock = manualClock();
    const load = batchedUpstream<number>(() => [1, new Error('b')], { clock, window: 10 });

    const loads = [load('a'), load('b')];
    await clock.advanceAsync(10);

    expect(await loads[0]).toBe(1);
    await expect(loads[1]).rejects.toThrow('b');
  });

  test('a window that is undefined is one that was left out', async () => {
    const clock = manualClock();
    const load = batchedUpstream<string>((keys) => keys, { clock, window: undefined as never });

    const loaded = load('a');
    await clock.advanceAsync(5);

    expect(await loaded).toBe('a');
  });

  test('misuse is a TypeError at once', () => {
    expect(() => batchedUpstream(undefined as never)).toThrow('Expected `loadMany` to be a function');
    expect(() => batchedUpstream(() => [], 5 as never)).toThrow('Expected `options` to be an object');
    expect(() => batchedUpstream(() => [], { window: 'x' as never })).toThrow('Expected `window` to be a duration');
  });
});
