import { describe, expect, test } from 'vitest';

import { lruMemory, mapStorage, noMemory, TieredCache, type MemoryTier } from '../../src/index.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('a cold key', () => {
  test('ten thousand callers cost one load and all get its value', async () => {
    const { cache, upstream } = setupCache();

    const callers = Array.from({ length: 10_000 }, () => cache.get('post:1'));
    upstream.calls[0]!.resolve('text');

    expect(new Set(await Promise.all(callers))).toEqual(new Set(['text']));
    expect(upstream.count).toBe(1);
  });

  test('the upstream is called in the tick of the first caller', () => {
    const { cache, upstream } = setupCache();

    void cache.get('k');

    expect(upstream.count).toBe(1);
    expect(upstream.calls[0]!.reason).toBe('miss');
    expect(upstream.calls[0]!.stale).toBeUndefined();
  });

  test('the thousandth caller is no more tied to the flight than the second: not after an invalidation, not after close', async () => {
    const { cache, upstream } = setupCache();
    const rush = Array.from({ length: 1_000 }, () => cache.get('k'));

    void cache.invalidate('k');
    const after = cache.get('k');
    const joined = [cache.get('k'), cache.get('k')];
    const closing = cache.close();
    await expect(cache.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('new');

    expect(new Set(await Promise.all(rush))).toEqual(new Set(['old']));
    expect(new Set(await Promise.all([after, ...joined]))).toEqual(new Set(['new']));
    await closing;
  });

  test('callers of a rush give way to memory as soon as it has the value', async () => {
    const { cache, upstream } = setupCache();
    const rush = [cache.get('k'), cache.get('k'), cache.get('k')];

    await cache.set('k', 'mine');

    expect(await cache.get('k')).toBe('mine');
    upstream.calls[0]!.resolve('old');
    expect(await Promise.all(rush)).toEqual(['old', 'old', 'old']);
    expect(await cache.get('k')).toBe('mine');
  });

  test('the story tells who led, who followed and that it was a miss', async () => {
    const { cache, upstream, clock } = setupCache();

    const leader = cache.lookup('k');
    const follower = cache.lookup('k');
    clock.advance(20);
    upstream.calls[0]!.resolve('v');

    const now = clock.now();
    expect(await leader).toEqual({
      ...{ value: 'v', status: 'miss', tier: 'upstream', role: 'leader', age: 0, freshFor: 1_000, staleFor: 61_000 },
      ...{ createdAt: now, tags: [], meta: undefined, stored: true },
    });
    expect(await follower).toMatchObject({ role: 'follower', status: 'miss' });
  });

  test('without an upstream it is a TypeError that says what to do', async () => {
    const cache = new TieredCache<string>({ ttl: 1_000 });

    await expect(cache.get('k')).rejects.toThrow(/`upstream`.*getOrLoad/);
    await expect(cache.get('k')).rejects.toBeInstanceOf(TypeError);
  });

  test('callers of one key never wait for another key', async () => {
    const { cache, upstream } = setupCache();

    void cache.get('slow');
    const quick = cache.get('quick');
    upstream.calls[1]!.resolve('v');

    expect(await quick).toBe('v');
  });
});

describe('a fresh key', () => {
  test('is answered without another load until the very instant its ttl ends', async () => {
    const { cache, upstream, clock } = setupCache();
    const first = cache.get('k');
    upstream.calls[0]!.resolve('v');
    await first;

    clock.advance(999);
    expect((await cache.lookup('k')).status).toBe('hit');
    clock.advance(1);
    expect((await cache.lookup('k')).status).toBe('stale');
    expect(upstream.count).toBe(2);
  });

  test('hits share one promise', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'v');

    expect(cache.get('k')).toBe(cache.get('k'));
  });

  test.each([null, 0, '', false, NaN])('%s is a value like any other', async (value) => {
    const { cache, upstream } = setupCache<unknown>();
    const first = cache.get('k');
    upstream.calls[0]!.resolve(value);
    await first;

    expect(await cache.get('k')).toBe(value);
    expect(upstream.count).toBe(1);
  });

  test.each(['', '__proto__', 'constructor', 'a\0b', '\ud800'])('the key %j is an ordinary key', async (key) => {
    const { cache } = setupCache();

    await cache.set(key, 'v');

    expect(await cache.get(key)).toBe('v');
    expect(cache.peek('toString')).toBeUndefined();
  });
});

describe('a key that only storage has', () => {
  test('is promoted with its original age, and storage is read once for all callers', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'v');
    first.clock.advance(400);
    const reads: string[] = [];
    const counting = overridden(storage, { get: (key) => (reads.push(key), storage.get(key)) });
    const { cache, upstream } = setupCache({ storage: counting, clock: first.clock });

    const callers = await Promise.all([cache.lookup('k'), cache.lookup('k'), cache.lookup('k')]);

    expect(callers.map(({ status, tier, age, freshFor }) => ({ status, tier, age, freshFor }))).toEqual(
      Array.from({ length: 3 }, () => ({ status: 'hit', tier: storage.name, age: 400, freshFor: 600 })),
    );
    expect(reads).toEqual(['k', '@!']);
    expect(upstream.count).toBe(0);
    expect(await cache.lookup('k')).toMatchObject({ status: 'hit', tier: 'memory', age: 400 });
  });

  test('is served stale and revalidated when it is stale there', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'old');
    first.clock.advance(1_500);
    const { cache, upstream } = setupCache({ storage, clock: first.clock });

    const answer = await cache.lookup('k');

    expect(answer).toMatchObject({ value: 'old', status: 'stale', tier: storage.name, age: 1_500 });
    await settle();
    expect(upstream.calls.map(({ reason }) => reason)).toEqual(['revalidate']);
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(await cache.get('k')).toBe('new');
  });

  test('an older entry there never replaces what memory holds', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage, staleWhileRevalidate: 0 });
    await cache.set('k', 'first');
    const old = await storage.get('k');
    clock.advance(10);
    await cache.set('k', 'second');
    await storage.set('k', { ...old!, freshUntil: Infinity, staleUntil: Infinity, errorUntil: Infinity }, Infinity);
    clock.advance(2_000);

    const answer = cache.get('k');
    await settle();
    upstream.calls[0]!.reject(new Error('down'));

    expect(await answer).toBe('second');
  });

  test('is promoted to the nearer storage too, even where both tiers bear one name', async () => {
    const [near, far] = [mapStorage(), mapStorage()];
    const first = setupCache({ storage: far });
    await first.cache.set('k', 'v');
    const { cache } = setupCache({ storage: [near, far], clock: first.clock });

    expect(await cache.get('k')).toBe('v');
    await cache.idle();

    expect(await near.get('k')).toEqual(await far.get('k'));
  });

  test('an older entry read slowly does not replace what was loaded meanwhile', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({
      storage: overridden(storage, {
        get: async (key) => (await storage.get(key)) && (await delivery(storage.get(key))),
        getMany: undefined as never,
      }),
    });
    const held: (() => void)[] = [];
    const delivery = <T>(entry: T): Promise<T> => new Promise((resolve) => held.push(() => resolve(entry)));
    const at = clock.now() - 120_000;
    const windows = { freshUntil: at, staleUntil: at, errorUntil: at + 9e9, loadMs: 0, tags: [], meta: undefined };
    await storage.set('k', { value: 'old', startedAt: at, createdAt: at, ...windows }, at + 9e9);

    const probed = cache.getIfCached('k');
    const read = cache.get('k');
    await settle();
    held[1]!();
    await settle();
    upstream.calls[0]!.resolve('new');
    expect(await read).toBe('new');
    await settle();
    held[0]!();
    await probed;

    expect(cache.peek('k')).toBe('new');
  });

  test('an entry from the future is not trusted, and is replaced', async () => {
    const storage = mapStorage();
    const ahead = setupCache({ storage });
    ahead.clock.jump(3_600_000);
    await ahead.cache.set('k', 'from tomorrow');
    const { cache, upstream } = setupCache({ storage });

    const answer = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('today');

    expect(await answer).toBe('today');
    await cache.idle();
    expect((await storage.get('k'))!.value).toBe('today');
  });

  test('without memory every read goes there, and flights still coalesce', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage(), memory: noMemory() as MemoryTier<string> });
    const first = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('v');
    await first;

    expect(await Promise.all([cache.get('k'), cache.get('k')])).toEqual(['v', 'v']);
    expect(upstream.count).toBe(1);
  });

  test('a result is readable from storage before its deferred write was done', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage(), memory: false });
    const first = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('v');
    await first;

    const second = cache.lookup('k');

    expect(await second).toMatchObject({ value: 'v', status: 'hit' });
  });
});

describe('`maxStale` on a read', () => {
  test('0 waits for the load that a plain read would have left in the background', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_000);

    const strict = cache.get('k', { maxStale: 0 });
    const plain = cache.get('k');
    upstream.calls[0]!.resolve('new');

    expect(await plain).toBe('old');
    expect(await strict).toBe('new');
    expect(upstream.count).toBe(1);
  });

  test('accepts what is less stale than that', async () => {
    const { cache, clock } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_500);

    expect(await cache.get('k', { maxStale: 501 })).toBe('old');
  });

  test('a stale entry in storage is not enough: the caller waits for the load', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'old');
    first.clock.advance(1_500);
    const { cache, upstream } = setupCache({ storage, clock: first.clock });

    const strict = cache.get('k', { maxStale: 0 });
    await settle();
    upstream.calls[0]!.resolve('new');

    expect(await strict).toBe('new');
    expect(upstream.count).toBe(1);
  });

  test('a caller who accepts no fallback gets the error, the others the fallback', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(120_000);
    const error = new Error('down');

    const strict = cache.get('k', { maxStale: 0 });
    const lenient = cache.get('k');
    upstream.calls[0]!.reject(error);

    await expect(strict).rejects.toBe(error);
    expect(await lenient).toBe('old');
  });
});

describe('refresh', () => {
  test('loads although the key is fresh, and tells the upstream why', async () => {
    const { cache, upstream } = setupCache();
    await cache.set('k', 'old');

    const refreshed = cache.refresh('k');
    expect(upstream.calls[0]).toMatchObject({ reason: 'refresh' });
    expect(upstream.calls[0]!.stale).toMatchObject({ value: 'old' });
    upstream.calls[0]!.resolve('new');

    expect(await refreshed).toBe('new');
    expect(cache.peek('k')).toBe('new');
  });

  test('brings a load that began after the call, and all refreshes that wait for an older one share the next (C12)', async () => {
    const { cache, upstream } = setupCache();

    const first = cache.get('k');
    const refreshed = Array.from({ length: 100 }, () => cache.refresh('k'));
    await settle();
    expect(upstream.count).toBe(1);
    upstream.calls[0]!.resolve('older');
    expect(await first).toBe('older');
    await settle();
    upstream.calls[1]!.resolve('newer');

    expect(new Set(await Promise.all(refreshed))).toEqual(new Set(['newer']));
    expect(upstream.count).toBe(2);
  });

  test('joins a flight that has not asked the upstream yet', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage() });

    const first = cache.get('k');
    const refreshed = cache.refresh('k');
    await settle();
    upstream.calls[0]!.resolve('v');

    expect(await Promise.all([first, refreshed])).toEqual(['v', 'v']);
    expect(upstream.count).toBe(1);
  });

  test('goes on after an older load that fails, and not without its caller', async () => {
    const { cache, upstream } = setupCache();
    const leaving = new AbortController();
    const first = cache.get('k');
    const left = cache.refresh('k', { signal: leaving.signal });
    const refreshed = cache.refresh('k');
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');

    upstream.calls[0]!.reject(new Error('down'));
    await expect(first).rejects.toThrow('down');
    await settle();
    upstream.calls[1]!.resolve('v');

    expect(await refreshed).toBe('v');
  });

  test('waits for an older load no longer than its `timeout`', async () => {
    const { cache, clock, upstream } = setupCache();
    const first = cache.get('k');
    const refreshed = cache.refresh('k', { timeout: 100 }).catch((error: unknown) => error);
    await clock.advanceAsync(100);
    expect(await refreshed).toMatchObject({ code: 'SOLOFLIGHT_CALLER_TIMEOUT' });

    upstream.calls[0]!.resolve('v');
    expect(await first).toBe('v');
    await settle();
    expect(upstream.count).toBe(1);
  });

  test('is not content with a flight that ended at storage', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'stored');
    const { cache, upstream } = setupCache({ storage, clock: first.clock });

    const plain = cache.get('k');
    const refreshed = cache.refresh('k');
    await settle();
    expect(await plain).toBe('stored');
    upstream.calls[0]!.resolve('loaded');

    expect(await refreshed).toBe('loaded');
  });

  test('falls back to the stored value only when the load fails', async () => {
    const { cache, upstream } = setupCache();
    await cache.set('k', 'old');

    const refreshed = cache.refresh('k');
    upstream.calls[0]!.reject(new Error('down'));

    expect(await refreshed).toBe('old');
  });

  test('tries even while a failure backs off', async () => {
    const { cache, upstream } = setupCache();
    await cache.set('k', 'old');
    const failed = cache.refresh('k');
    upstream.calls[0]!.reject(new Error('down'));
    await failed;

    const second = cache.refresh('k');
    expect(upstream.count).toBe(2);
    upstream.calls[1]!.resolve('new');

    expect(await second).toBe('new');
  });

  test('finds the fallback in storage when memory has lost it', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'stored');
    const { cache, upstream } = setupCache({ storage, clock: first.clock });

    const refreshed = cache.refresh('k');
    await settle();
    expect(upstream.calls[0]!.stale).toMatchObject({ value: 'stored' });
    upstream.calls[0]!.reject(new Error('down'));

    expect(await refreshed).toBe('stored');
  });
});

describe('getIfCached and peek', () => {
  test('getIfCached reads memory and storage and never loads', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'v');
    const { cache, upstream } = setupCache({ storage, clock: first.clock });

    expect(await cache.getIfCached('none')).toBeUndefined();
    expect(await cache.getIfCached('k')).toBe('v');
    expect(cache.peek('k')).toBe('v');
    first.clock.advance(1_500);
    expect(await cache.getIfCached('k')).toBe('v');
    expect(await cache.getIfCached('k', { maxStale: 0 })).toBeUndefined();
    expect(upstream.count).toBe(0);
  });

  test('many getIfCached of one key share one storage read', async () => {
    let reads = 0;
    const storage = overridden(mapStorage(), { get: () => Promise.resolve(void (reads += 1)) });
    const { cache } = setupCache({ storage });

    await Promise.all([cache.getIfCached('k'), cache.getIfCached('k'), cache.getIfCached('k')]);

    expect(reads).toBe(1);
  });

  test('peek serves stale, but neither expired nor stored values, and is not counted', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'v');

    expect(cache.peek('k')).toBe('v');
    clock.advance(1_500);
    expect(cache.peek('k')).toBe('v');
    clock.advance(120_000);
    expect(cache.peek('k')).toBeUndefined();
    expect(cache.getStats()).toMatchObject({ hits: 0, staleHits: 0, misses: 0 });
    expect(upstream.count).toBe(0);
  });

  test('peek does not count as a use: the entry is dropped first all the same', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 2 }) });
    await cache.set('a', '1');
    await cache.set('b', '2');

    cache.peek('a');
    await cache.set('c', '3');

    expect(cache.peek('a')).toBeUndefined();
    expect(cache.peek('b')).toBe('2');
  });
});

describe('getOrLoad', () => {
  test('loads with the upstream given, under the lifetime given', async () => {
    const { cache, clock } = setupCache();

    const value = await cache.getOrLoad('k', () => 'own', { ttl: '5s', staleWhileRevalidate: 0, tags: ['t'] });
    clock.advance(4_999);

    expect(value).toBe('own');
    expect(await cache.lookup('k')).toMatchObject({ value: 'own', status: 'hit', freshFor: 1, tags: ['t'] });
  });

  test('coalesces with a plain get of the key', async () => {
    const { cache, upstream } = setupCache();

    const plain = cache.get('k');
    const own = cache.getOrLoad('k', () => 'own');
    upstream.calls[0]!.resolve('shared');

    expect(await Promise.all([plain, own])).toEqual(['shared', 'shared']);
  });

  test('revalidates with the upstream given when the entry is stale', async () => {
    const { cache, clock } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_500);

    expect(await cache.getOrLoad('k', () => 'new')).toBe('old');
    await settle();

    expect(cache.peek('k')).toBe('new');
  });
});
