import { describe, expect, test } from 'vitest';

import { loaded, mapStorage, type CacheEvent } from '../../src/index.js';
import { chaos, manualClock } from '../../src/testing/index.js';
import { overridden } from '../support/overridden.js';
import { scriptedTier } from '../support/scripted-tier.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('invalidateTags', () => {
  test('makes every value with one of the tags unusable, and leaves the others alone', async () => {
    const { cache } = setupCache();
    await cache.set('a', 'a', { tags: ['red'] });
    await cache.set('b', 'b', { tags: ['blue', 'red'] });
    await cache.set('c', 'c', { tags: ['blue'] });
    await cache.set('d', 'd');

    await cache.invalidateTags('red');

    expect(['a', 'b', 'c', 'd'].map((key) => cache.peek(key))).toEqual([undefined, undefined, 'c', 'd']);
    expect(await cache.getIfCached('a')).toBeUndefined();
    expect(await cache.getMany(['c', 'd'])).toEqual(['c', 'd']);
  });

  test('counts from the call on, not from its end', async () => {
    const { cache, upstream } = setupCache();
    await cache.set('k', 'old', { tags: ['t'] });

    const invalidated = cache.invalidateTags(['t']);
    const read = cache.get('k');
    upstream.calls[0]!.resolve('new');

    expect(await read).toBe('new');
    await invalidated;
  });

  test('reaches tags given by the cache, by the caller, by functions, by what was loaded, and by wrapped functions', async () => {
    const { cache, upstream } = setupCache({ tags: ['cache'] });
    const read = async (load: Promise<unknown>, answer: unknown) => {
      upstream.calls.at(-1)!.resolve(answer as string);
      await load;
    };
    await read(cache.get('by the cache'), 'v');
    await read(cache.get('by the load'), loaded('v', { tags: ['load'] }));
    await cache.getOrLoad('by the caller', () => 'v', { tags: ['caller'] });
    await cache.getOrLoad('by a function', () => 'v', { tags: (value, key) => [`${key} ${value}`] });
    await cache.set('by a function of set', 'v', { tags: (value) => [`set ${value}`] });
    const wrapped = cache.wrap((id: number) => `v${id}`, { name: 'f', tags: (id) => [`id ${id}`] });
    await wrapped(1);

    await cache.invalidateTags(['cache', 'load', 'caller', 'by a function v', 'set v', 'id 1']);

    for (const key of ['by the cache', 'by the load', 'by the caller', 'by a function', 'by a function of set'])
      expect(cache.peek(key)).toBeUndefined();
    expect(cache.peek(wrapped.keyFor(1))).toBeUndefined();
  });

  test('with `expire` makes them stale and keeps them as fallbacks', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old', { tags: ['t'] });
    clock.advance(10);

    await cache.invalidateTags('t', { mode: 'expire' });

    expect(await cache.lookup('k')).toMatchObject({ value: 'old', status: 'stale', freshFor: 0 });
    expect(await cache.getIfCached('k', { maxStale: 0 })).toBeUndefined();
    upstream.calls[0]!.reject(new Error('down'));
    await settle();
    clock.advance(120_000);
    const read = cache.lookup('k');
    upstream.calls[1]!.reject(new Error('still down'));
    expect(await read).toMatchObject({ value: 'old', status: 'fallback' });
  });

  test('a look with `peek` does not make an expired value count as looked at', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'old', { tags: ['t'] });

    await cache.invalidateTags('t', { mode: 'expire' });
    cache.peek('k');

    expect(await cache.lookup('k')).toMatchObject({ status: 'stale' });
  });

  test('with `expire` first and `invalidate` later, and the reverse, makes them unusable', async () => {
    const { cache } = setupCache();
    await cache.set('a', 'a', { tags: ['a'] });
    await cache.set('b', 'b', { tags: ['b'] });

    await cache.invalidateTags('a', { mode: 'expire' });
    await cache.invalidateTags(['a', 'b']);
    await cache.invalidateTags('b', { mode: 'expire' });

    expect([cache.peek('a'), cache.peek('b')]).toEqual([undefined, undefined]);
  });

  test('an invalidated value is no fallback, neither for a failing load nor for a slow one', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: 100 });
    await cache.set('k', 'old', { tags: ['t'] });
    await cache.invalidateTags('t');

    const read = cache.get('k');
    clock.advance(200);
    await settle();
    upstream.calls[0]!.reject(new Error('down'));

    await expect(read).rejects.toThrow('down');
  });

  test('a value invalidated while its reload runs is no fallback for those who ask afterwards', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old', { tags: ['t'] });
    clock.advance(120_000);

    const before = cache.lookup('k');
    await settle();
    await cache.invalidateTags('t');
    const after = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));

    await expect(after).rejects.toThrow('down');
    await before.catch(() => {});
  });

  test('tells listeners, once for all tags', async () => {
    const { cache } = setupCache();
    const events: CacheEvent[] = [];
    cache.on('tags', (event) => events.push(event));

    await cache.invalidateTags(['a', 'b'], { mode: 'expire' });

    expect(events).toEqual([{ type: 'tags', tags: ['a', 'b'], mode: 'expire' }]);
  });

  test('an array of tags that is changed afterwards changes nothing, whoever gave it', async () => {
    const { cache, upstream } = setupCache();
    const given = Array.from({ length: 3 }, () => ['t']);
    await cache.set('set', 'v', { tags: given[0]! });
    await cache.getOrLoad('function', () => 'v', { tags: () => given[1]! });
    const read = cache.get('loaded');
    upstream.calls[0]!.resolve(loaded('v', { tags: given[2]! }));
    await read;

    for (const tags of given) tags[0] = 'another';
    await cache.invalidateTags('t');

    expect(['set', 'function', 'loaded'].map((key) => cache.peek(key))).toEqual([undefined, undefined, undefined]);
  });

  test('a tags function that fails is told, and its value is handed out and not kept', async () => {
    const { cache } = setupCache();
    const errors: CacheEvent[] = [];
    cache.on('error', (event) => errors.push(event));
    const failing = (): string[] => {
      throw new Error('no tags');
    };

    expect(await cache.getOrLoad('k', () => 'v', { tags: failing })).toBe('v');
    expect(await cache.getOrLoad('l', () => 'v', { tags: () => 'text' as never })).toBe('v');

    expect(errors).toMatchObject([
      { source: 'tags', key: 'k' },
      { source: 'tags', key: 'l' },
    ]);
    expect([cache.peek('k'), cache.peek('l')]).toEqual([undefined, undefined]);
  });

  test('a million tags leave no more behind than is remembered of them, and nothing comes back', async () => {
    const { cache } = setupCache({ upstream: undefined as never });
    await cache.set('first', 'v', { tags: ['first'] });
    await cache.set('untagged', 'v');
    await cache.invalidateTags('first');

    for (let batch = 0; batch < 100; batch += 1)
      await cache.invalidateTags(Array.from({ length: 10_000 }, (_, index) => `tag ${batch} ${index}`));

    expect(cache.peek('first')).toBeUndefined();
    expect(cache.peek('untagged')).toBe('v');
    await cache.set('last', 'v', { tags: ['last'] });
    expect(cache.peek('last')).toBe('v');
  });
});

describe('a tag invalidated while a value of it is loading', () => {
  test('in the foreground: those who asked before get it, nobody after does, and no tier keeps it', async () => {
    const storage = mapStorage();
    const { cache, upstream } = setupCache({ storage, tags: ['t'] });

    const before = cache.get('k');
    await settle();
    await cache.invalidateTags('t');
    const after = cache.get('k');
    upstream.calls[0]!.resolve('old');
    expect(await before).toBe('old');
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
    expect(cache.peek('k')).toBe('new');
    await cache.idle();
    expect(await storage.get('k')).toMatchObject({ value: 'new' });
    expect(upstream.count).toBe(2);
  });

  test('whose tags only the load itself tells: the same', async () => {
    const { cache, upstream } = setupCache();

    const before = cache.get('k');
    await cache.invalidateTags('t');
    const after = cache.get('k');
    upstream.calls[0]!.resolve(loaded('old', { tags: ['t'] }));
    await before;
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
    expect(upstream.count).toBe(2);
  });

  test('a load of other tags stays joinable: those who ask afterwards cost no load of their own', async () => {
    const { cache, upstream } = setupCache({ tags: ['other'] });

    const before = cache.get('k');
    await cache.invalidateTags('t');
    const after = [cache.get('k'), cache.lookup('k')];
    upstream.calls[0]!.resolve('v');

    expect(await before).toBe('v');
    expect(await Promise.all(after)).toMatchObject(['v', { value: 'v', role: 'follower' }]);
    expect(upstream.count).toBe(1);
    expect(cache.peek('k')).toBe('v');
  });

  test('a rush that goes on over the invalidation costs two loads, however many callers there are', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });

    const before = Array.from({ length: 100 }, () => cache.get('k'));
    void cache.invalidateTags('t');
    const after = Array.from({ length: 100 }, () => cache.get('k'));
    upstream.calls[0]!.resolve('old');
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(new Set(await Promise.all(before))).toEqual(new Set(['old']));
    expect(new Set(await Promise.all(after))).toEqual(new Set(['new']));
    expect(upstream.count).toBe(2);
  });

  test('in the background: the reload is dropped, and the value it was to replace is unusable as well', async () => {
    const { cache, clock, upstream } = setupCache({ tags: ['t'] });
    await cache.set('k', 'stale');
    clock.advance(1_000);
    expect(await cache.get('k')).toBe('stale');

    await cache.invalidateTags('t');
    upstream.calls[0]!.resolve('older than the invalidation');
    await settle();

    expect(cache.peek('k')).toBeUndefined();
    const after = cache.get('k');
    upstream.calls[1]!.resolve('new');
    expect(await after).toBe('new');
  });

  test('by `refresh`: one that was asked for afterwards gets a load that began afterwards', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });

    const before = cache.refresh('k');
    await cache.invalidateTags('t');
    const after = cache.refresh('k');
    upstream.calls[0]!.resolve('old');
    await before;
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
  });

  test('with `expire`: it is not kept as fresh', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });

    const before = cache.get('k');
    await cache.invalidateTags('t', { mode: 'expire' });
    upstream.calls[0]!.resolve('old');
    await before;

    expect(await cache.getIfCached('k', { maxStale: 0 })).toBeUndefined();
  });

  test('while storage is being read: what storage had is not promoted, whatever its answer', async () => {
    const script = scriptedTier();
    const first = setupCache({ storage: script.stored, tags: ['t'] });
    await first.cache.set('k', 'old');
    first.clock.advance(100);
    const { cache, upstream } = setupCache({ storage: script.tier, tags: ['t'], clock: first.clock });

    const read = cache.get('k');
    await settle();
    const old = script.next('get', 'k');
    old.land();
    void cache.invalidateTags('t');
    old.pass();
    await settle();
    script.next('get', '@!').pass();
    script.next('get', '@~t').pass();
    await settle();
    upstream.calls[0]!.resolve('new');

    expect(await read).toBe('new');
    expect(cache.peek('k')).toBe('new');
    for (let round = 0; round < 4; round += 1) {
      await settle();
      for (const call of script.waiting) call.pass();
    }
  });
});

describe('a tag invalidated by another process, or before a restart', () => {
  function restarted(options: Parameters<typeof setupCache<string>>[0] = {}) {
    const storage = options.storage ?? mapStorage();
    const first = setupCache({ storage, ...options });
    const again = (more: typeof options = {}) => setupCache({ storage, ...options, clock: first.clock, ...more });
    return { ...first, again };
  }

  test('a marker newer than the entry makes it unusable', async () => {
    const { cache, clock, again } = restarted();
    await cache.set('k', 'old', { tags: ['t'] });
    clock.advance(10);
    await cache.invalidateTags('t');

    const { cache: next, upstream } = again();
    const read = next.get('k');
    await settle();
    upstream.calls[0]!.resolve('new');

    expect(await read).toBe('new');
  });

  test('a marker older than the entry does nothing to it', async () => {
    const { cache, clock, again } = restarted();
    await cache.invalidateTags('t');
    clock.advance(2_000);
    await cache.set('k', 'v', { tags: ['t'], ttl: '1h' });

    const next = again();

    expect(await next.cache.lookup('k')).toMatchObject({ value: 'v', status: 'hit', tier: 'map' });
    expect(next.upstream.count).toBe(0);
  });

  test('an expired tag makes the entry stale, with its other windows as they were', async () => {
    const { cache, clock, again } = restarted();
    await cache.set('k', 'old', { tags: ['t'], ttl: '1h' });
    clock.advance(10);
    await cache.invalidateTags('t', { mode: 'expire' });

    expect(await again().cache.lookup('k')).toMatchObject({ value: 'old', status: 'stale' });
  });

  test('an entry stored so shortly after the marker that clocks can not tell is loaded once more, and then kept', async () => {
    const { cache, clock, again } = restarted({ ttl: '1h' });
    await cache.invalidateTags('t');
    clock.advance(999);
    await cache.set('k', 'v', { tags: ['t'] });
    clock.advance(2_000);

    const next = again();
    const read = next.cache.getOrLoad('k', () => 'once more', { tags: ['t'] });
    expect(await read).toBe('once more');
    await next.cache.idle();

    expect(await again().cache.getIfCached('k')).toBe('once more');
  });

  test('with clocks known to agree (`clockSkew: 0`) it is kept at once', async () => {
    const { cache, clock, again } = restarted({ ttl: '1h', clockSkew: 0 });
    await cache.invalidateTags('t');
    clock.advance(1);
    await cache.set('k', 'v', { tags: ['t'] });

    expect(await again().cache.getIfCached('k')).toBe('v');
  });

  test('two caches whose clocks are a second apart never serve what the other one invalidated', async () => {
    const storage = mapStorage();
    const late = setupCache({ storage, ttl: '1h', memory: false });
    const early = setupCache({
      storage,
      ttl: '1h',
      memory: false,
      clock: manualClock({ now: late.clock.now() + 900 }),
    });
    await early.cache.set('k', 'old', { tags: ['t'] });

    await late.cache.invalidateTags('t');

    expect(await early.cache.getIfCached('k')).toBeUndefined();
    expect(await late.cache.getIfCached('k')).toBeUndefined();
  });

  test('what this process loaded goes by order, not by clocks: in the very millisecond of the marker it is kept', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage(), memory: false, ttl: '1h', tags: ['t'] });
    await cache.set('k', 'old');
    await cache.invalidateTags('t');
    expect(await cache.getIfCached('k')).toBeUndefined();

    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('new');
    await read;
    await cache.idle();

    expect(await cache.get('k')).toBe('new');
    expect(upstream.count).toBe(1);
    await cache.invalidateTags('t');
    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('when the clock has jumped back since the entry was stored it is unusable all the same, also after a restart', async () => {
    const { cache, clock, again } = restarted({ memory: false, ttl: '1h' });
    await cache.set('k', 'old', { tags: ['t'] });
    clock.jump(-3_000);

    await cache.invalidateTags('t');

    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(await again().cache.getIfCached('k')).toBeUndefined();
  });

  test('an entry whose markers can not be read is not believed', async () => {
    const storage = chaos(mapStorage());
    const first = setupCache({ storage, ttl: '1h' });
    await first.cache.set('k', 'old', { tags: ['t'] });
    const broken = overridden(storage, {
      get: (key) => {
        if (key === '@#t') throw new Error('not this one');
        return storage.get(key);
      },
    });
    const garbled = overridden(storage, { get: (key) => (key === '@~t' ? ('garbage' as never) : storage.get(key)) });

    for (const storage of [broken, garbled]) {
      const { cache } = setupCache({ storage, clock: first.clock });
      expect(await cache.getIfCached('k')).toBeUndefined();
    }
  });

  test('a tagged entry older than markers are kept is not believed', async () => {
    const { cache, clock, again } = restarted({ ttl: '365d' });
    await cache.set('tagged', 'v', { tags: ['t'] });
    await cache.set('untagged', 'v');
    clock.advance(30 * 24 * 3_600_000);

    expect(await again().cache.getMany(['untagged'])).toEqual(['v']);
    expect(await again().cache.getIfCached('tagged')).toBeUndefined();
  });

  test('markers that storage refused are kept and stored later, as they are', async () => {
    const storage = chaos(mapStorage());
    const { cache, clock, again } = restarted({ storage, ttl: '1h' });
    await cache.set('k', 'old', { tags: ['t'] });
    clock.advance(10);
    storage.failAlways('setIfNewer');
    await cache.invalidateTags('t');
    storage.restore();
    clock.advance(2_000);

    await cache.getIfCached('another key');
    await cache.idle();

    expect(await storage.get('@#t')).toMatchObject({ startedAt: clock.now() - 2_000 });
    expect(await again().cache.getIfCached('k')).toBeUndefined();
  });

  test('a marker does not replace a later one', async () => {
    const storage = mapStorage();
    const late = setupCache({ storage });
    const early = setupCache({ storage, clock: manualClock({ now: late.clock.now() + 60_000 }) });
    await early.cache.invalidateTags('t');

    await late.cache.invalidateTags('t');

    expect(await storage.get('@#t')).toMatchObject({ startedAt: early.clock.now() });
  });
});
