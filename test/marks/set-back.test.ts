import { describe, expect, test } from 'vitest';

import { mapStorage, TieredCache, type TieredCacheOptions } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';

interface Setup {
  readonly cache: TieredCache<number>;
  readonly clock: ReturnType<typeof manualClock>;
  readonly loads: () => number;
}

function setup(options: Partial<TieredCacheOptions<number>> = {}): Setup {
  const clock = manualClock();
  let loads = 0;
  const upstream = (): number => (loads += 1);
  return { cache: new TieredCache<number>({ ttl: '10s', upstream, clock, ...options }), clock, loads: () => loads };
}

const statusOf = async ({ cache }: Setup, key = 'k'): Promise<string> => (await cache.lookup(key)).status;

describe('a wall clock that is set back', () => {
  test('leaves what was expired on purpose expired', async () => {
    const it = setup({ staleWhileRevalidate: '1m' });
    await it.cache.get('k');
    await it.cache.expire('k');

    it.clock.jump(-3_000);

    expect(it.cache.peek('k')).toBe(1);
    expect(await statusOf(it)).toBe('stale');
  });

  test.each([
    ['a hit', (it: Setup) => statusOf(it)],
    ['getMany', (it: Setup) => it.cache.getMany(['k'])],
    ['getIfCached', (it: Setup) => it.cache.getIfCached('k', { maxStale: 0 })],
    ['peek', (it: Setup) => it.cache.peek('k')],
  ])('leaves what had ended ended, also where %s is the first to see it', async (_, read) => {
    const it = setup();
    await it.cache.get('k');
    it.clock.advance(10_001);
    expect(it.cache.peek('k')).toBeUndefined();

    it.clock.jump(-3_000);
    await read(it);

    expect(it.cache.peek('k')).not.toBe(1);
    expect(await it.cache.get('k')).toBe(2);
  });

  test('leaves fresh what was fresh', async () => {
    const it = setup();
    await it.cache.get('k');

    it.clock.advance(1_000);
    it.clock.jump(-3_000);

    expect(await statusOf(it)).toBe('hit');
  });

  test('keeps what is loaded afterwards like anything else, however short its ttl', async () => {
    const it = setup({ ttl: '1s', tags: ['t'] });
    await it.cache.get('k');
    it.clock.advance(1_000);
    it.cache.peek('k');

    it.clock.jump(-60_000);
    await it.cache.get('k');
    it.clock.advance(500);

    expect([await statusOf(it), await it.cache.get('k')]).toEqual(['hit', 2]);
    it.clock.advance(500);
    expect([await statusOf(it), await it.cache.get('k')]).toEqual(['miss', 3]);
  });

  test('twice leaves expired what was expired in between', async () => {
    const it = setup({ staleWhileRevalidate: '1m' });
    await it.cache.get('k');
    it.clock.jump(-3_000);
    await it.cache.refresh('k');
    await it.cache.expire('k');

    it.clock.jump(-3_000);

    expect(await statusOf(it)).toBe('stale');
  });

  test('counts for all namespaces, also for their views made afterwards', async () => {
    const it = setup({ staleWhileRevalidate: '1m' });
    await it.cache.namespace('n').get('k');
    await it.cache.namespace('n').expire('k');

    it.clock.jump(-3_000);
    await it.cache.get('another');

    expect((await it.cache.namespace('n').lookup('k')).status).toBe('stale');
  });

  test('gives nothing back to what storage holds either', async () => {
    const it = setup({ storage: mapStorage(), memory: false });
    await it.cache.get('k');
    await it.cache.expire('k');
    await it.cache.get('l');

    it.clock.jump(-3_000);

    expect([await statusOf(it), await statusOf(it, 'l')]).toEqual(['stale', 'hit']);
  });

  test('leaves in use what this process puts into storage afterwards, however short its ttl', async () => {
    const it = setup({ storage: mapStorage(), memory: false });
    await it.cache.get('k');

    it.clock.jump(-60_000);
    await it.cache.get('k');
    await it.clock.advanceAsync(1);

    expect([await statusOf(it), it.loads()]).toEqual(['hit', 2]);
  });

  test('is nothing any more once it is again where it was', async () => {
    const it = setup({ staleWhileRevalidate: 0 });
    await it.cache.get('k');
    it.clock.jump(-3_000);
    await it.cache.get('k');
    it.clock.advance(3_000);

    expect([await statusOf(it), it.loads()]).toEqual(['hit', 1]);
  });
});
