import { afterEach, describe, expect, test, vi } from 'vitest';

import { mapStorage, TieredCache, type TieredCacheOptions } from '../../src/index.js';
import {
  chaos,
  checkInvariants,
  InvariantError,
  manualClock,
  scriptedUpstream,
  watchRejections,
  type CheckedCache,
  type InvariantOptions,
} from '../../src/testing/index.js';

const watched = watchRejections();
afterEach(() => checkInvariants(resting(0), { rejections: watched }));

function setup(options: Partial<TieredCacheOptions<string>> = {}) {
  const clock = manualClock();
  const upstream = scriptedUpstream<string>();
  const cache = new TieredCache<string>({ ttl: '1s', clock, upstream, ...options });
  return { cache, clock, upstream };
}

async function problemsOf(cache: CheckedCache, options: InvariantOptions = {}): Promise<readonly string[]> {
  const error = await checkInvariants(cache, { within: 0, ...options }).catch((reason: unknown) => reason);
  if (error === undefined) return [];
  expect(error).toBeInstanceOf(InvariantError);
  return (error as InvariantError).problems;
}

/** What a cache with `size` entries at rest shows. */
function resting(size: number): CheckedCache {
  const stats = new TieredCache<string>({ ttl: 1 }).getStats();
  return { getStats: () => ({ ...stats, size }), idle: async () => {} };
}

describe('a cache in order', () => {
  test('passes, unused, used and closed', async () => {
    const { cache, upstream } = setup({ storage: mapStorage() });

    expect(await problemsOf(cache)).toEqual([]);
    const read = cache.get('a');
    (await upstream.next()).resolve('1');
    await read;
    expect(await problemsOf(cache, { maxSize: 1, upstream, rejections: watched })).toEqual([]);
    await cache.close();
    expect(await problemsOf(cache)).toEqual([]);
  });

  test('is waited for while its work finishes', async () => {
    const { cache, upstream } = setup();
    const read = cache.get('a');
    const call = await upstream.next();

    const checked = checkInvariants(cache, { within: '10s' });
    setImmediate(() => call.resolve('1'));

    await expect(checked).resolves.toBeUndefined();
    expect(await read).toBe('1');
  });

  test('may have upstream calls that nobody waits for any more', async () => {
    const { cache, upstream } = setup();
    const gone = new AbortController();
    const read = cache.get('a', { signal: gone.signal });
    await upstream.next();
    gone.abort();
    await expect(read).rejects.toBe(gone.signal.reason);

    expect(await problemsOf(cache, { upstream })).toEqual([]);
  });
});

describe('a cache out of order is told', () => {
  test('by its flights: how many, how old, who waits, and their keys where the upstream is known', async () => {
    const { cache, clock, upstream } = setup();
    const reads = [cache.get('a'), cache.get('a'), cache.get('b')];
    clock.advance(250);

    expect(await problemsOf(cache)).toEqual(['2 flights are left, the oldest 250 ms old, 3 wait']);
    expect(await problemsOf(cache, { upstream })).toEqual([
      "2 flights are left, the oldest 250 ms old, 3 wait; upstream calls not settled: 'a', 'b'",
    ]);
    upstream.resolveAll('v');
    await Promise.all(reads);
    expect(await problemsOf(cache)).toEqual([]);
  });

  test('by a write-back that hangs', async () => {
    const storage = chaos(mapStorage());
    const { cache, upstream } = setup({ storage });
    storage.hang('setIfVersion');
    const read = cache.get('a');
    (await upstream.next()).resolve('1');
    await read;

    expect(await problemsOf(cache, { within: 20 })).toEqual([
      'deferred work, such as a write-back, did not settle within 20 ms',
    ]);
    storage.release();
    expect(await problemsOf(cache, { within: '1s' })).toEqual([]);
  });

  test('by a reload in the background that nobody looks at', async () => {
    const { cache, clock, upstream } = setup({ staleWhileRevalidate: '1m' });
    await cache.set('a', 'old');
    clock.advance(1_500);
    await cache.get('a');

    expect(await problemsOf(cache, { upstream })).toEqual([
      expect.stringMatching(/^1 flight is left, .*; upstream calls not settled: 'a'$/),
    ]);
    upstream.resolveAll('new');
    await cache.idle();
  });

  test('by more entries than memory may hold', async () => {
    expect(await problemsOf(resting(3), { maxSize: 3 })).toEqual([]);
    expect(await problemsOf(resting(4), { maxSize: 3 })).toEqual(['memory holds 4 entries, and may hold 3']);
  });

  test('by everything at once', async () => {
    const { cache, upstream } = setup();
    void cache.set('x', 'x');
    void cache.set('y', 'y');
    const read = cache.get('a');

    const error = await checkInvariants(cache, { maxSize: 1, within: 0 }).catch((reason: unknown) => reason);

    expect((error as InvariantError).problems).toHaveLength(2);
    expect((error as Error).message).toMatch(/^The cache was not left in order: 1 flight is left.*; memory holds 2/);
    upstream.resolveAll('v');
    await read;
  });
});

describe('rejections that nobody handled', () => {
  test('are told of once, whatever was thrown', async () => {
    const told: ((reason: unknown) => void)[] = [];
    vi.stubGlobal('process', {
      on: (_event: string, listener: (reason: unknown) => void) => told.push(listener),
      off: (_event: string, listener: (reason: unknown) => void) => told.splice(told.indexOf(listener), 1),
    });
    const rejections = watchRejections();
    vi.unstubAllGlobals();
    for (const reason of [new Error('lost'), undefined, Object.create(null)]) told[0]!(reason);

    expect(await problemsOf(resting(0), { rejections })).toEqual([
      'nobody handled the rejection Error: lost',
      'nobody handled the rejection undefined',
      'nobody handled the rejection object',
    ]);
    expect(await problemsOf(resting(0), { rejections })).toEqual([]);
  });

  test('are seen where they are events, and no longer once the watch has stopped', async () => {
    const target = new EventTarget();
    vi.stubGlobal('process', undefined);
    vi.stubGlobal('addEventListener', target.addEventListener.bind(target));
    vi.stubGlobal('removeEventListener', target.removeEventListener.bind(target));
    const rejections = watchRejections();
    const tell = (reason: unknown) => target.dispatchEvent(Object.assign(new Event('unhandledrejection'), { reason }));

    tell('first');
    expect(await rejections.take()).toEqual(['first']);
    rejections.stop();
    tell('second');
    expect(await rejections.take()).toEqual([]);
    vi.unstubAllGlobals();
  });

  test('of this very process are seen', async () => {
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    const rejections = watchRejections();

    void Promise.reject(new Error('real'));
    const seen = await rejections.take();
    rejections.stop();
    const left = process.listenerCount('unhandledRejection');
    for (const listener of others) process.on('unhandledRejection', listener);

    expect(seen).toEqual([new Error('real')]);
    expect(left).toBe(0);
  });
});

describe('the check', () => {
  test('works under fake timers', async () => {
    vi.useFakeTimers();
    const { cache, upstream } = setup();
    const read = cache.get('a');

    expect(await problemsOf(cache, { within: 10 })).toHaveLength(1);
    upstream.resolveAll('v');
    vi.useRealTimers();

    expect(await read).toBe('v');
  });

  test('refuses what makes no sense', async () => {
    const { cache } = setup();

    await expect(checkInvariants(new Map() as never)).rejects.toThrow(
      'Expected `cache` to be a cache (missing: getStats, idle), got `object` (object)',
    );
    await expect(checkInvariants(cache, { maxSize: 0 })).rejects.toThrow('Expected `maxSize` to be an integer ≥ 1');
    await expect(checkInvariants(cache, { within: -1 })).rejects.toThrow('Expected `within` to be a duration ≥ 0');
    await expect(checkInvariants(cache, { max: 5 } as never)).rejects.toThrow('Expected `options` to be without');
    await expect(checkInvariants(cache, { rejections: [] as never })).rejects.toThrow('Expected `rejections` to be');
  });
});
