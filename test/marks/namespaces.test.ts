import { describe, expect, test } from 'vitest';

import { lruMemory, mapStorage, TieredCache, type CacheEvent, type StorageTier } from '../../src/index.js';
import { chaos } from '../../src/testing/index.js';
import { overridden } from '../support/overridden.js';
import { scriptedTier } from '../support/scripted-tier.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** A storage that answers later, and the commands it was sent. */
function distant(members: (stored: StorageTier) => Partial<StorageTier>) {
  const stored = mapStorage();
  const commands: string[] = [];
  const storage = overridden(stored, {
    get: async (key) => (commands.push('get'), await stored.get(key)),
    getMany: async (keys) => (commands.push('getMany'), await stored.getMany!(keys)),
    ...members(stored),
  });
  return { storage, commands };
}

describe('clear', () => {
  test('empties memory, and makes everything in storage unusable for every process, by one marker', async () => {
    const storage = chaos(mapStorage());
    const { cache, clock, upstream } = setupCache({ storage });
    await cache.setMany([
      ['a', 'a'],
      ['b', 'b'],
    ]);
    const other = setupCache({ storage, clock });
    await other.cache.get('b');
    const writes = storage.calls.setIfVersion;

    await cache.clear();

    expect(storage.calls.setIfVersion - writes).toBe(1);
    expect(storage.calls.delete).toBe(0);
    expect(cache.getStats().size).toBe(0);
    expect(await cache.getIfCached('a')).toBeUndefined();
    expect(await other.cache.getIfCached('a')).toBeUndefined();
    const read = cache.get('a');
    await settle();
    upstream.calls[0]!.resolve('new');
    expect(await read).toBe('new');
  });

  test('during a load: those who asked before get its value, nobody after does, and no tier keeps it', async () => {
    const storage = mapStorage();
    const { cache, upstream } = setupCache({ storage });

    const before = cache.get('k');
    await settle();
    const cleared = cache.clear();
    const after = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('new');

    expect(await before).toBe('old');
    expect(await after).toBe('new');
    await cleared;
    await cache.idle();
    expect(cache.peek('k')).toBe('new');
    expect(await storage.get('k')).toMatchObject({ value: 'new' });
  });

  test('during a rush: callers from then on get what was loaded from then on', async () => {
    const { cache, upstream } = setupCache();

    const before = [cache.get('k'), cache.get('k'), cache.get('k')];
    void cache.clear();
    const after = [cache.get('k'), cache.get('k'), cache.get('k')];
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('new');

    expect(await Promise.all([...before, ...after])).toEqual(['old', 'old', 'old', 'new', 'new', 'new']);
    expect(upstream.count).toBe(2);
  });

  test('while storage is being read: what storage had is not promoted', async () => {
    const script = scriptedTier();
    const first = setupCache({ storage: script.stored });
    await first.cache.set('k', 'old');
    const { cache, upstream } = setupCache({ storage: script.tier, clock: first.clock });

    const read = cache.getIfCached('k');
    await settle();
    const old = script.next('get', 'k');
    old.land();
    void cache.clear();
    old.pass();

    expect(await read).toBeUndefined();
    expect(cache.peek('k')).toBeUndefined();
    expect(upstream.count).toBe(0);
    for (let round = 0; round < 4; round += 1) {
      await settle();
      for (const call of script.waiting) call.pass();
    }
  });

  test('of a write-back still on its way: the value is not found again', async () => {
    const script = scriptedTier();
    const { cache, upstream } = setupCache({ storage: script.tier, memory: false });
    const read = cache.get('k');
    await settle();
    script.next('get', 'k').pass();
    await settle();
    upstream.calls[0]!.resolve('old');
    await read;
    await settle();

    void cache.clear();
    const after = cache.getIfCached('k');

    expect(await after).toBeUndefined();
    for (let round = 0; round < 4; round += 1) {
      await settle();
      for (const call of script.waiting) call.pass();
    }
  });

  test('costs a storage that reads several keys at once no command per hit, and is noticed at once', async () => {
    const { storage, commands } = distant(() => ({}));
    const { cache, clock } = setupCache({ storage, memory: false });
    const other = setupCache({ storage, clock });
    for (const key of ['a', 'b', 'c']) await cache.set(key, key);
    await cache.getIfCached('a');
    commands.length = 0;

    expect(await cache.getIfCached('b')).toBe('b');
    expect(commands).toEqual(['getMany']);
    await other.cache.clear();
    expect(await cache.getIfCached('c')).toBeUndefined();
  });

  test('costs any other one command a second, and is noticed within a second', async () => {
    const { storage, commands } = distant(() => ({ getMany: undefined as never }));
    const { cache, clock } = setupCache({ storage, memory: false });
    const other = setupCache({ storage, clock });
    for (const key of ['a', 'b', 'c']) await cache.set(key, key, { ttl: '1h' });
    await cache.getIfCached('a');
    commands.length = 0;

    expect(await cache.getIfCached('b')).toBe('b');
    expect(commands).toEqual(['get']);
    await other.cache.clear();
    clock.advance(1_000);
    expect(await cache.getIfCached('c')).toBeUndefined();
  });

  test('whose marker could not be read is asked for again by the next read', async () => {
    let down = true;
    const { storage } = distant((stored) => ({
      getMany: undefined as never,
      get: async (key) => {
        if (down && key === '@!') throw new Error('down');
        return await stored.get(key);
      },
    }));
    const { cache } = setupCache({ storage, memory: false });
    await cache.set('k', 'v');

    expect(await cache.getIfCached('k')).toBeUndefined();
    down = false;
    expect(await cache.getIfCached('k')).toBe('v');
  });

  test('forgets failures', async () => {
    const { cache, upstream } = setupCache({ errorTtl: '1h' });
    const failing = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await expect(failing).rejects.toThrow('down');

    await cache.clear();

    const read = cache.get('k');
    upstream.calls[1]!.resolve('v');
    expect(await read).toBe('v');
  });

  test('tells listeners', async () => {
    const { cache } = setupCache();
    const events: CacheEvent[] = [];
    cache.on('clear', (event) => events.push(event));

    await cache.clear();

    expect(events).toEqual([{ type: 'clear' }]);
  });
});

describe('namespaces', () => {
  test('with look-alike names and keys never meet, in no tier', async () => {
    const storage = mapStorage();
    const { cache, clock } = setupCache({ storage });
    const places = [
      { of: cache, key: 'a:b:c' },
      { of: cache, key: '@1:a/b' },
      { of: cache, key: '@/x' },
      { of: cache.namespace('a'), key: 'b:c' },
      { of: cache.namespace('a:b'), key: 'c' },
      { of: cache.namespace('a').namespace('b'), key: 'c' },
      { of: cache.namespace('a'), key: '1:b/c' },
      { of: cache.namespace('a'), key: '@1:b/c' },
      { of: cache.namespace('1:a'), key: 'b' },
      { of: cache.namespace('a').namespace('1'), key: ':b/c' },
    ];

    for (const [index, { of, key }] of places.entries()) await of.set(key, `value ${index}`);

    const expected = places.map((_, index) => `value ${index}`);
    expect(places.map(({ of, key }) => of.peek(key))).toEqual(expected);
    const bare = new TieredCache<string>({ ttl: '1h', storage, clock, memory: false });
    const again = [bare, bare, bare, bare.namespace('a'), bare.namespace('a:b'), bare.namespace('a').namespace('b')];
    again.push(bare.namespace('a'), bare.namespace('a'), bare.namespace('1:a'), bare.namespace('a').namespace('1'));
    expect(await Promise.all(again.map((of, index) => of.getIfCached(places[index]!.key)))).toEqual(expected);
    await bare.close();
  });

  test('of the same name are the same view, so that their flights are the same', async () => {
    const { cache, upstream } = setupCache();

    const reads = [cache.namespace('a').get('k'), cache.namespace('a').get('k'), cache.namespace('b').get('k')];
    upstream.calls[0]!.resolve('a');
    upstream.calls[1]!.resolve('b');

    expect(await Promise.all(reads)).toEqual(['a', 'a', 'b']);
    expect(upstream.calls.map(({ key }) => key)).toEqual(['k', 'k']);
  });

  test('have a clear of their own, which leaves the cache and the others alone, and the reverse', async () => {
    const { cache } = setupCache({ storage: mapStorage() });
    const [a, b] = [cache.namespace('a'), cache.namespace('b')];
    const inner = a.namespace('inner');
    for (const of of [cache, a, b, inner]) await of.set('k', 'v');

    await a.clear();

    expect([cache.peek('k'), a.peek('k'), b.peek('k'), inner.peek('k')]).toEqual(['v', undefined, 'v', 'v']);
    expect(await a.getIfCached('k')).toBeUndefined();
    await cache.clear();
    expect([cache.peek('k'), b.peek('k'), inner.peek('k')]).toEqual([undefined, 'v', 'v']);
    expect(await cache.getIfCached('k')).toBeUndefined();
    await cache.set('k', 'again');
    expect(await cache.get('k')).toBe('again');
    await cache.clear();
    expect(cache.peek('k')).toBeUndefined();
    expect(b.peek('k')).toBe('v');
  });

  test('without storage, too, keep what they have when the cache is cleared', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'v');
    await cache.namespace('a').set('k', 'v');

    await cache.clear();

    expect([cache.peek('k'), cache.namespace('a').peek('k')]).toEqual([undefined, 'v']);
  });

  test('have tags of their own', async () => {
    const { cache } = setupCache({ storage: mapStorage(), tags: ['t'] });
    const [a, b] = [cache.namespace('a'), cache.namespace('b')];
    for (const of of [cache, a, b]) await of.set('k', 'v');

    await a.invalidateTags('t');

    expect([cache.peek('k'), a.peek('k'), b.peek('k')]).toEqual(['v', undefined, 'v']);
    expect(await Promise.all([cache, a, b].map((of) => of.getIfCached('k')))).toEqual(['v', undefined, 'v']);
  });

  test('have invalidate, expire and wrapped functions of their own', async () => {
    const { cache } = setupCache({ storage: mapStorage() });
    const a = cache.namespace('a');
    const f = (id: number): string => `v${id}`;
    const [outer, inner] = [cache.wrap(f), a.wrap(f)];
    await Promise.all([outer(1), inner(1)]);

    await inner.invalidate(1);

    expect(cache.peek(outer.keyFor(1))).toBe('v1');
    expect(a.peek(inner.keyFor(1))).toBeUndefined();
    await a.set('k', 'v');
    await cache.set('k', 'v');
    await cache.expire('k');
    expect(await a.getIfCached('k', { maxStale: 0 })).toBe('v');
  });

  test('have statistics and events of their own; failures of storage are told by the cache', async () => {
    const storage = chaos(mapStorage());
    const { cache, upstream } = setupCache({ storage });
    const a = cache.namespace('a');
    const heard: CacheEvent[] = [];
    a.on('hit', (event) => heard.push(event));
    cache.on('tier-error', (event) => heard.push(event));
    storage.failNext('get', new Error('down'));

    const read = a.get('k');
    await settle();
    upstream.calls[0]!.resolve('v');
    await read;
    await a.get('k');
    await a.idle();

    expect(a.getStats()).toMatchObject({ hits: 1, misses: 1, loads: 1, tierErrors: 0 });
    expect(cache.getStats()).toMatchObject({ hits: 0, misses: 0, loads: 0, tierErrors: 1 });
    expect(heard).toMatchObject([
      { type: 'tier-error', key: 'k', operation: 'get' },
      { type: 'hit', key: 'k', tier: 'memory' },
    ]);
  });

  test('share the bounds of memory, and of flights', async () => {
    const { cache, upstream } = setupCache({ memory: lruMemory({ max: 10 }), maxFlights: 2 });
    for (let index = 0; index < 100; index += 1) await cache.namespace(`n${index}`).set('k', 'v');
    expect(cache.getStats().size).toBe(10);

    const reads = [cache.get('1'), cache.namespace('a').get('2')];
    await expect(cache.namespace('b').get('3')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_FLIGHTS' });
    upstream.resolveAll('v');
    await Promise.all(reads);
    // What ended makes room, in whichever of them it was.
    const after = [cache.namespace('b').get('3'), cache.namespace('c').get('4')];
    upstream.resolveAll('v');
    expect(await Promise.all(after)).toEqual(['v', 'v']);
  });

  test('end with the cache: their work is waited for, and nothing new is taken', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage() });
    const a = cache.namespace('a');
    const read = a.get('k');
    await settle();

    const closed = cache.close();
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    await settle();
    expect(isClosed).toBe(false);
    await expect(a.get('other')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    await expect(a.clear()).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    await expect(a.invalidateTags('t')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    upstream.calls[0]!.resolve('v');

    expect(await read).toBe('v');
    await closed;
    expect(a.peek('k')).toBeUndefined();
  });

  test('may be closed alone: the cache, and its storage, go on', async () => {
    const storage = chaos(mapStorage());
    const { cache } = setupCache({ storage });
    const a = cache.namespace('a');
    await a.set('k', 'v');
    await cache.set('k', 'v');

    await a.close();

    await expect(a.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    expect(storage.calls.close).toBe(0);
    expect(cache.peek('k')).toBe('v');
  });

  test('twenty thousand of them leave nothing behind but what memory holds', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 100 }) });
    for (let index = 0; index < 20_000; index += 1) {
      const view = cache.namespace(`user:${index}`);
      await view.set('k', 'v');
      if (index % 2 === 0) await view.clear();
    }
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();

    expect(cache.getStats().size).toBeLessThanOrEqual(100);
    expect(cache.namespace('user:1').peek('k')).toBeUndefined();
  });

  test('leaves no timer behind that would hold it, once it has loaded something', async () => {
    const { cache, clock } = setupCache({ upstream: (key) => key });

    await Promise.all([cache.namespace('a').get('k'), cache.namespace('a').get('l')]);
    await cache.namespace('b').getIfCached('k');
    await cache.idle();

    expect(clock.pending).toBe(0);
  });

  test('still ends a hung load in time, after others have ended', async () => {
    const { cache, clock, upstream } = setupCache({ maxDuration: '1s' });
    const view = cache.namespace('a');
    const first = view.get('k');
    upstream.calls[0]!.resolve('v');
    await first;

    const hung = view.get('hung');
    clock.advance(1_000);

    await expect(hung).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
  });

  test('that nobody held on to and asked for lately forget no invalidation', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 1_000_000 }), tags: ['t'] });
    await cache.namespace('a').set('k', 'v');
    await cache.namespace('b').set('k', 'v');
    await cache.namespace('c').set('k', 'v');
    await cache.namespace('a').invalidateTags('t');
    await cache.namespace('b').clear();

    for (let index = 0; index < 3_000; index += 1) cache.namespace(`user:${index}`);
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));

    expect(['a', 'b', 'c'].map((name) => cache.namespace(name).peek('k'))).toEqual([undefined, undefined, 'v']);
  });
});

describe('a name', () => {
  test('keeps caches over one storage apart, and those of the same name together', async () => {
    const storage = mapStorage();
    const { cache: users, clock } = setupCache({ storage, name: 'users' });
    const { cache: posts } = setupCache({ storage, name: 'posts', clock });
    const { cache: usersToo } = setupCache({ storage, name: 'users', clock });
    const { cache: unnamed } = setupCache({ storage, clock });
    await users.set('1', 'user');

    expect(await Promise.all([usersToo, posts, unnamed].map((cache) => cache.getIfCached('1')))).toEqual([
      'user',
      undefined,
      undefined,
    ]);
    expect(await unnamed.namespace('users').getIfCached('1')).toBe('user');
  });
});
