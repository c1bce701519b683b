import { describe, expect, test } from 'vitest';

import { defineStorage, lruMemory, mapStorage, notModified, type StorageTier } from '../../src/index.js';
import { chaos, manualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** A tier with nothing but what every tier must have, and answers in the next turn. */
function plainTier(inner = mapStorage()): StorageTier {
  return defineStorage({
    name: 'plain',
    get: async (key) => inner.get(key),
    set: async (key, entry, keepUntil) => inner.set(key, entry, keepUntil),
    delete: async (key) => inner.delete(key),
  });
}

describe('what was invalidated before a call is not served', () => {
  test('by `getMany`, all of whose keys memory has fresh', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });
    await cache.setMany([
      ['a', 'old'],
      ['b', 'old'],
    ]);

    void cache.invalidateTags('t');
    const read = cache.getMany(['a', 'b']);
    await settle();
    upstream.resolveAll('new');

    expect(await read).toEqual(['new', 'new']);
  });

  test('nor as fresh by `getMany` after it was expired by tag', async () => {
    const { cache } = setupCache({ tags: ['t'] });
    await cache.set('a', 'old');

    void cache.invalidateTags('t', { mode: 'expire' });

    expect(await cache.getMany(['a'])).toEqual(['old']);
    expect(cache.getStats()).toMatchObject({ hits: 0, staleHits: 1 });
  });

  test.each(['invalidate', 'clear'] as const)(
    'by the reload of a stale value that a flight had just found in storage when `%s` came',
    async (verb) => {
      for (let turns = 0; turns < 40; turns += 1) {
        const storage = mapStorage();
        const first = setupCache({ storage });
        await first.cache.set('k', 'old');
        first.clock.advance(2_000);
        const { cache, upstream } = setupCache({ storage, clock: first.clock });
        const before = cache.get('k');
        for (let turn = 0; turn < turns; turn += 1) await null;

        if (verb === 'clear') void cache.clear();
        else void cache.invalidate('k');
        await settle();
        const after = cache.get('k');
        await settle();
        upstream.rejectAll(new Error('down'));

        await expect(after).rejects.toThrow('down');
        await before.catch(() => {});
      }
    },
  );

  test('as a fallback of a slow reload, to a caller who does not accept what was expired by tag', async () => {
    const { cache, clock, upstream } = setupCache({ tags: ['t'], ttl: '1m', softTimeout: 100 });
    await cache.set('k', 'old');
    const refreshed = cache.refresh('k');
    void cache.invalidateTags('t', { mode: 'expire' });

    const strict = cache.get('k', { maxStale: 0 });
    clock.advance(200);
    await settle();
    upstream.calls[0]!.resolve('too old');
    await settle();
    upstream.calls[1]?.resolve('new');

    expect(await strict).toBe('new');
    await refreshed;
  });

  test('as what a conditional request is made with, if it was invalidated while storage was read', async () => {
    const storage = plainTier();
    const { cache, clock, upstream } = setupCache({ storage, tags: ['t'] });
    await cache.set('k', 'old');
    clock.advance(120_000);

    const read = cache.get('k');
    void cache.invalidateTags('t');
    await settle();

    expect(upstream.calls[0]!.stale).toBeUndefined();
    upstream.calls[0]!.resolve(notModified());
    await expect(read).rejects.toThrow('notModified');
  });

  test.each([
    ['long after any mark', 0],
    ['right after another mark', 1],
  ])('out of a write still on its way, begun %s, although its own was forgotten meanwhile', async (_when, marks) => {
    const inner = mapStorage();
    const late: (() => void)[] = [];
    const storage: StorageTier = defineStorage({
      ...plainTier(inner),
      set: (key, entry, keepUntil) =>
        key.endsWith('k')
          ? new Promise((resolve) => late.push(() => resolve(inner.set(key, entry, keepUntil))))
          : inner.set(key, entry, keepUntil),
    });
    const { cache } = setupCache({ storage, memory: false, ttl: '1h', writeTimeout: '10m' });
    const n = cache.namespace('n');
    if (marks > 0) await cache.invalidateTags('other');
    const writes = [cache.set('k', 'old', { tags: ['t'] }), n.set('k', 'old')];
    await settle();
    await cache.invalidateTags('t');
    await n.clear();

    // Marks are counted for all namespaces together.
    const tags = Array.from({ length: 51_000 }, (_, index) => `${index}`);
    await cache.namespace('busy').invalidateTags(tags);

    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(await n.getIfCached('k')).toBeUndefined();
    for (const land of late.splice(0)) land();
    await Promise.all(writes);
  });

  test('out of storage that refused what replaced it in the very same millisecond', async () => {
    const storage = chaos(plainTier());
    const { cache, upstream } = setupCache({ storage, memory: false, ttl: '1h', tags: ['t'] });
    const load = async (value: string) => {
      const read = cache.get('k');
      await settle();
      upstream.calls.at(-1)!.resolve(value);
      await read;
      await cache.idle();
    };
    await load('old');
    await cache.invalidateTags('t');
    storage.failNext('set');
    await load('new');

    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('out of one of several tiers, which refused what replaced it in the very same millisecond', async () => {
    const near = chaos(plainTier());
    const { cache, upstream } = setupCache({ storage: [near, plainTier()], memory: false, ttl: '1h', tags: ['t'] });
    const load = async (value: string) => {
      const read = cache.get('k');
      await settle();
      upstream.calls.at(-1)!.resolve(value);
      await read;
      await cache.idle();
    };
    await load('old');
    await cache.invalidateTags('t');
    near.failNext('set');
    await load('new');

    expect(await cache.getIfCached('k')).not.toBe('old');
  });

  test('as a fallback from the future, of which no clock says when it was stored', async () => {
    const storage = mapStorage();
    const ahead = setupCache({ storage, clock: manualClock({ now: 1_700_000_060_000 }), ttl: '1h' });
    await ahead.cache.set('k', 'old', { tags: ['t'] });
    const { cache, upstream } = setupCache({ storage, memory: false, ttl: '1h' });

    await cache.invalidateTags('t');
    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.reject(new Error('down'));

    await expect(read).rejects.toThrow('down');
  });

  test('from storage as stale since now, where its tag was expired long ago', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage, ttl: '1h' });
    await first.cache.set('k', 'old', { tags: ['t'] });
    first.clock.advance(10);
    await first.cache.invalidateTags('t', { mode: 'expire' });
    first.clock.advance(30_000);
    const { cache } = setupCache({ storage, ttl: '1h', clock: first.clock });

    expect(await cache.getIfCached('k', { maxStale: '10s' })).toBeUndefined();
    expect(await cache.getIfCached('k', { maxStale: '40s' })).toBe('old');
  });
});

describe('an invalidation is not lost', () => {
  test('to a replayed older marker, in a tier that stores blindly', async () => {
    const inner = mapStorage();
    const storage = chaos(plainTier(inner));
    const first = setupCache({ storage });
    storage.failNext('set');
    await first.cache.invalidateTags('t');
    first.clock.advance(60_000);
    const other = setupCache({ storage: plainTier(inner), clock: first.clock });
    await other.cache.set('k', 'old', { tags: ['t'], ttl: '1h' });
    await other.cache.invalidateTags('t');
    const later = other.clock.now();

    await first.cache.getIfCached('something');
    await first.cache.idle();

    expect(await inner.get('@#t')).toMatchObject({ startedAt: later });
  });

  test('for being one of very many', async () => {
    const storage = mapStorage();
    const { cache, clock } = setupCache({ storage, ttl: '1h' });
    await cache.set('k', 'old', { tags: ['0'] });
    await cache.set('l', 'kept');
    clock.advance(10);

    await cache.invalidateTags(Array.from({ length: 130_000 }, (_, index) => `${index}`));

    const { cache: next } = setupCache({ storage, clock });
    expect(await next.getIfCached('k')).toBeUndefined();
    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(await cache.getIfCached('l')).toBe('kept');
  });
});

describe('an invalidation costs one load', () => {
  test('also while the failure of an earlier one backs off: without its fallback the key is loaded again', async () => {
    const { cache, clock, upstream } = setupCache({ tags: ['t'], errorBackoff: { initial: '1h', max: '1h' } });
    await cache.set('k', 'old');
    clock.advance(2_000);
    await cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();

    await cache.invalidateTags('t');
    const read = cache.get('k');
    await settle();
    upstream.calls[1]?.resolve('new');

    expect(await read).toBe('new');
  });

  test('made by another process: what is loaded after it is known as newer, whatever the clocks say', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage, memory: false, ttl: '1h', tags: ['t'] });
    const other = setupCache({ storage, clock });
    await cache.set('k', 'old');
    await other.cache.invalidateTags('t');
    clock.advance(10);

    for (let round = 0; round < 3; round += 1) {
      const read = cache.get('k');
      await settle();
      upstream.resolveAll('new');
      expect(await read).toBe('new');
      await cache.idle();
    }

    expect(upstream.count).toBe(1);
  });

  test('and they may come faster than storage is read: those who wait get a value', async () => {
    const storage = chaos(plainTier());
    const { cache, clock, upstream } = setupCache({ storage });
    storage.delay('get', 10, clock);

    const read = cache.get('k');
    let loads = 0;
    for (let round = 0; round < 20; round += 1) {
      await settle();
      await clock.advanceAsync(7);
      void cache.invalidate('k');
      await settle();
      loads = upstream.count;
      upstream.resolveAll('new');
    }

    expect(loads).toBe(1);
    expect(await read).toBe('new');
  });
});

test('a value set while storage is read answers the reader, at no load', async () => {
  const { cache, upstream } = setupCache({ storage: plainTier(), memory: false });

  const read = cache.get('k');
  void cache.set('k', 'v');

  expect(await read).toBe('v');
  expect(upstream.count).toBe(0);
});

test('the whole cache is idle only once its namespaces are', async () => {
  const storage = chaos(mapStorage());
  const { cache } = setupCache({ storage });
  storage.hang('setIfVersion');
  await cache.namespace('a').getOrLoad('k', () => 'v');
  const order: string[] = [];

  const idle = cache.idle().then(() => order.push('idle'));
  await settle();
  order.push('stored');
  storage.release();
  await idle;

  expect(order).toEqual(['stored', 'idle']);
});

describe('nobody waits for ever', () => {
  test('a `refresh` among readers who keep storage busy gets its load', async () => {
    const storage = plainTier();
    const { cache, upstream } = setupCache({ storage, memory: false, ttl: '1h' });
    await cache.set('k', 'old');
    let reading = true;
    const reader = (): unknown => (reading ? cache.get('k').then(reader) : undefined);
    const readers = cache.get('k').then(reader);

    const refreshed = cache.refresh('k');
    for (let round = 0; round < 20 && upstream.count === 0; round += 1) await settle();
    const loads = upstream.count;
    reading = false;
    await settle();
    upstream.resolveAll('new');

    expect(await refreshed).toBe('new');
    expect(loads).toBe(1);
    await readers;
  });

  test('a namespace can be closed while the rest of the cache is never idle', async () => {
    const storage = chaos(mapStorage());
    const { cache, clock } = setupCache({ storage });
    storage.delay('all', 10, clock);
    const a = cache.namespace('a');
    const stored = a.getOrLoad('k', () => 'v');

    const ends: string[] = [];
    const closing = a.close().then(() => ends.push('closed'));
    for (let round = 0; round < 30; round += 1) {
      void cache.getOrLoad(`${round}`, () => 'v');
      await clock.advanceAsync(6);
    }
    ends.push('busy');
    storage.restore();
    await clock.advanceAsync(100);

    await closing;
    expect(ends).toEqual(['closed', 'busy']);
    expect(await stored).toBe('v');
    expect(await storage.get('@1:a/k')).toMatchObject({ value: 'v' });
  });

  test('a namespace that was closed can be opened again', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 10 }) });
    const a = cache.namespace('a');
    await a.set('k', 'v');
    await a.close();

    expect(cache.namespace('a').peek('k')).toBeUndefined();
    await cache.namespace('a').set('k', 'again');

    expect(await cache.namespace('a').get('k')).toBe('again');
    await expect(a.get('other')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
  });
});
