import { describe, expect, test } from 'vitest';

import { lruMemory, mapStorage, TieredCache, type CacheEvent } from '../../src/index.js';
import { scriptedUpstream } from '../../src/testing/index.js';
import { liveLong, nothing } from '../support/long-life.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

const ALL: readonly CacheEvent['type'][] = [
  ...(['hit', 'stale', 'miss', 'fallback', 'coalesced', 'load', 'load-error'] as const),
  ...(['revalidate', 'set', 'invalidate', 'expire', 'tier-error', 'error'] as const),
];

function recorded(cache: TieredCache<string>): string[] {
  const seen: string[] = [];
  for (const type of ALL) cache.on(type, (event) => seen.push(event.type));
  return seen;
}

describe('events', () => {
  test('tell the whole life of a key in order', async () => {
    const { cache, clock, upstream } = setupCache();
    const seen = recorded(cache);

    const first = cache.get('k');
    const second = cache.get('k');
    upstream.calls[0]!.resolve('v');
    await Promise.all([first, second]);
    await cache.get('k');
    clock.advance(1_000);
    await cache.get('k');
    upstream.calls[1]!.reject(new Error('down'));
    await settle();
    clock.advance(120_000);
    const third = cache.get('k');
    upstream.calls[2]!.reject(new Error('down'));
    await third;
    await cache.expire('k');
    await cache.set('k', 'w');
    await cache.invalidate('k');

    // A reload in the background that fails gives nobody a fallback.
    expect(seen).toEqual([
      ...['miss', 'coalesced', 'load', 'hit', 'stale', 'revalidate', 'load-error'],
      ...['miss', 'load-error', 'fallback', 'expire', 'set', 'invalidate'],
    ]);
  });

  test('and statistics say the same of a reload in the background that fails', async () => {
    const { cache, clock, upstream } = setupCache();
    const seen = recorded(cache);
    await cache.set('k', 'v');
    clock.advance(1_000);

    await cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();

    expect(seen).toEqual(['set', 'stale', 'revalidate', 'load-error']);
    const { fallbacks, loadFailures, flights } = cache.getStats();
    expect({ fallbacks, loadFailures, failed: flights.failed }).toEqual({ fallbacks: 0, loadFailures: 1, failed: 1 });
  });

  test('and statistics say the same of many readers of one flight', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'v');
    const { cache } = setupCache({ storage, clock: first.clock });
    const seen = recorded(cache);

    await Promise.all([cache.get('k'), cache.get('k', { maxStale: 0 }), cache.lookup('k')]);

    expect(seen.filter((type) => type === 'hit')).toHaveLength(3);
    expect(cache.getStats().hits).toBe(3);
  });

  test('the function that `on` returns ends them, for this registration alone', async () => {
    const { cache } = setupCache();
    const seen: string[] = [];
    const listener = (event: CacheEvent): void => void seen.push(event.type);
    const off = cache.on('set', listener);
    cache.on('set', listener);

    await cache.set('k', 'v');
    off();
    off();
    await cache.set('k', 'v');

    expect(seen).toHaveLength(3);
  });

  test('a throwing listener breaks no read and becomes an `error` event; a throwing `error` listener is ignored', async () => {
    const { cache, upstream } = setupCache();
    const errors: CacheEvent[] = [];
    cache.on('miss', () => {
      throw new Error('broken listener');
    });
    cache.on('error', (event) => {
      errors.push(event);
      throw new Error('broken too');
    });

    const answer = cache.get('k');
    upstream.calls[0]!.resolve('v');

    expect(await answer).toBe('v');
    expect(errors).toMatchObject([{ type: 'error', source: 'listener' }]);
  });

  test('an async listener that rejects becomes an `error` event, not an unhandled rejection', async () => {
    const { cache } = setupCache();
    const sources: string[] = [];
    cache.on('error', ({ source }) => sources.push(source));
    // oxlint-disable-next-line typescript/no-misused-promises
    cache.on('set', async () => Promise.reject(new Error('broken')));

    await cache.set('k', 'v');
    await settle();

    expect(sources).toEqual(['listener']);
  });

  test('a throwing `defer` or `waitUntil` breaks no read', async () => {
    const { cache, clock, upstream } = setupCache({
      defer: () => {
        throw new Error('broken defer');
      },
    });
    const sources: string[] = [];
    cache.on('error', ({ source }) => sources.push(source));
    await cache.set('k', 'v');
    clock.advance(1_000);

    const waitUntil = (): void => {
      throw new Error('broken waitUntil');
    };
    expect(await cache.get('k', { waitUntil })).toBe('v');

    expect(upstream.count).toBe(1);
    expect(sources).toEqual(['defer', 'waitUntil']);
  });
});

describe('statistics', () => {
  test('count every read once, by how it was answered', async () => {
    const { cache, clock, upstream } = setupCache();

    const callers = [cache.get('k'), cache.get('k'), cache.lookup('k')];
    upstream.calls[0]!.resolve('v');
    await Promise.all(callers);
    await cache.get('k');
    await cache.lookup('k');
    clock.advance(1_000);
    await cache.get('k');
    await cache.lookup('k');
    upstream.calls[1]!.reject(new Error('down'));
    await settle();
    clock.advance(120_000);
    const fallbacks = [cache.get('k'), cache.lookup('k')];
    upstream.calls[2]!.reject(new Error('down'));
    await Promise.all(fallbacks);
    const failing = [cache.get('other'), cache.lookup('other')];
    upstream.calls[3]!.reject(new Error('down'));
    await Promise.allSettled(failing);

    expect(cache.getStats()).toMatchObject({
      ...{ hits: 2, staleHits: 2, misses: 5, fallbacks: 2, coalesced: 4 },
      ...{ loads: 4, loadFailures: 3, revalidations: 1, size: 1, inFlight: 0, evictions: 0, tierErrors: 0 },
      hitRatio: 4 / 11,
    });
  });

  test('tell of the flights under way', async () => {
    const { cache, clock, upstream } = setupCache();
    const callers = [cache.get('k'), cache.get('k')];
    clock.advance(70);

    expect(cache.getStats().flights).toMatchObject({ inFlightCount: 1, totalSubscribers: 2, oldestCallAge: 70 });
    upstream.calls[0]!.resolve('v');
    await Promise.all(callers);
    expect(cache.getStats().flights).toMatchObject({ inFlightCount: 0, led: 1, joined: 1, succeeded: 1 });
  });

  test('the load latency is measured by the monotonic clock', async () => {
    const { cache, clock, upstream } = setupCache();

    const answer = cache.get('k');
    clock.advance(250);
    clock.jump(-3_600_000);
    upstream.calls[0]!.resolve('v');
    await answer;

    const { count, mean, p50, max } = cache.getStats().loadLatency;
    expect({ count, mean, max }).toEqual({ count: 1, mean: 250, max: 250 });
    expect(p50).toBeGreaterThan(230);
  });

  test('count what memory dropped to stay within bounds', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 2 }) });

    for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, key);

    expect(cache.getStats()).toMatchObject({ size: 2, evictions: 2 });
  });
});

describe('the end of a cache', () => {
  test('`idle` waits for flights, reloads and deferred writes', async () => {
    let finishWrite!: () => void;
    const storage = overridden(mapStorage(), {
      setIfVersion: () => new Promise((resolve) => (finishWrite = () => resolve(true))),
    });
    const { cache, upstream } = setupCache({ storage });
    const steps: string[] = [];

    const read = cache.get('k');
    const idle = cache.idle().then(() => steps.push('idle'));
    await settle();
    upstream.calls[0]!.resolve('v');
    await read;
    await settle();
    steps.push('written');
    finishWrite();
    await idle;

    expect(steps).toEqual(['written', 'idle']);
  });

  test('`close` refuses new work, lets old work finish and closes the storage', async () => {
    let closed = 0;
    const { cache, upstream } = setupCache({ storage: overridden(mapStorage(), { close: () => void (closed += 1) }) });
    await cache.set('held', 'v');
    const read = cache.get('k');
    await settle();

    const closing = cache.close();
    await expect(cache.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    for (const call of [cache.get('held'), cache.lookup('held'), cache.getIfCached('held'), cache.refresh('held')]) {
      await expect(call).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    }
    for (const call of [
      cache.set('k', 'v'),
      cache.invalidate('k'),
      cache.expire('k'),
      cache.getOrLoad('k', () => 'v'),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    }
    expect(closed).toBe(0);
    upstream.calls[0]!.resolve('late but good');

    expect(await read).toBe('late but good');
    await closing;
    await cache.close();
    expect(closed).toBe(1);
    expect(cache.peek('k')).toBeUndefined();
  });

  test('`await using` closes', async () => {
    let closed = 0;

    {
      await using cache = new TieredCache({
        ttl: 1,
        storage: overridden(mapStorage(), { close: () => void (closed += 1) }),
      });
      await cache.set('k', 'v');
    }

    expect(closed).toBe(1);
  });

  test('constructing touches no tier and sets no timer', () => {
    const touched: string[] = [];
    const untouchable = new Proxy(mapStorage(), {
      get: (tier, property) => {
        const member: unknown = Reflect.get(tier, property);
        return typeof member === 'function' ? () => touched.push(String(property)) : member;
      },
    });

    const { clock } = setupCache({ storage: untouchable });

    expect(touched).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a long life', () => {
  test('200,000 keys, errors, aborts and invalidations leave no more than the configured maximum', async () => {
    expect(await liveLong(200_000)).toEqual(nothing);
  });

  test('uncoalesced loads that finish out of order leave the value of the one that started last', async () => {
    const { cache, upstream } = setupCache({ coalesce: false });

    const reads = [cache.get('k'), cache.get('k')];
    upstream.calls[1]!.resolve('second');
    await reads[1];
    upstream.calls[0]!.resolve('first');
    await reads[0];

    expect(cache.peek('k')).toBe('second');
  });

  test('a switch may turn coalescing off and on while it runs', async () => {
    let coalesce = true;
    const upstream = scriptedUpstream<string>();
    const { cache } = setupCache({ upstream, coalesce: () => coalesce });

    const reads = [cache.get('k'), cache.get('k')];
    coalesce = false;
    reads.push(cache.get('k'), cache.get('k'));
    coalesce = true;
    reads.push(cache.get('k'));
    for (const call of upstream.calls) call.resolve('v');
    await Promise.all(reads);

    expect(upstream.count).toBe(3);
  });
});
