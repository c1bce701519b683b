import { describe, expect, test, vi } from 'vitest';

import { defineStorage, lruMemory, mapStorage, TieredCache, type Entry } from '../../src/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** A storage whose every operation waits until the test lets it through. */
function gatedStorage() {
  const inner = mapStorage();
  const waiting: { readonly operation: string; readonly pass: () => void }[] = [];
  const gate = <T>(operation: string, run: () => T): Promise<T> =>
    new Promise((resolve) => {
      waiting.push({ operation, pass: () => resolve(run()) });
    });
  return {
    inner,
    waiting,
    pass(operation: string): void {
      const index = waiting.findIndex((call) => call.operation === operation);
      if (index < 0) throw new Error(`no ${operation} is waiting`);
      waiting.splice(index, 1)[0]!.pass();
    },
    passAll(): void {
      for (const call of waiting.splice(0)) call.pass();
    },
    tier: defineStorage({
      name: 'gated',
      get: (key: string) => gate('get', () => inner.get(key) as Entry | undefined),
      set: (key: string, entry: Entry, keepUntil: number) => gate('set', () => void inner.set(key, entry, keepUntil)),
      delete: (key: string) => gate('delete', () => inner.delete(key) as boolean),
    }),
  };
}

describe('invalidate', () => {
  test('in the middle of a foreground load: those who asked before get its value, nobody after does', async () => {
    const { cache, upstream } = setupCache();

    const before = cache.get('k');
    const invalidated = cache.invalidate('k');
    const after = cache.get('k');
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('new');

    expect(await before).toBe('old');
    expect(await after).toBe('new');
    expect(await invalidated).toBe(false);
    expect(await cache.get('k')).toBe('new');
    expect(upstream.count).toBe(2);
  });

  test('in the middle of a foreground load that then fails: the failure is not held against the key', async () => {
    const { cache, upstream } = setupCache({ errorTtl: '1h' });

    const before = cache.get('k');
    await cache.invalidate('k');
    upstream.calls[0]!.reject(new Error('down'));
    await expect(before).rejects.toThrow('down');
    const after = cache.get('k');
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
  });

  test('in the middle of a background reload: the reload’s result is dropped', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'stale');
    clock.advance(1_000);
    await cache.get('k');

    await cache.invalidate('k');
    upstream.calls[0]!.resolve('older than the invalidation');
    await settle();

    expect(cache.peek('k')).toBeUndefined();
    const after = cache.get('k');
    upstream.calls[1]!.resolve('new');
    expect(await after).toBe('new');
  });

  test('in the middle of a promotion: the old entry does not come back', async () => {
    const storage = gatedStorage();
    const { cache, clock, upstream } = setupCache({ storage: storage.tier });
    const at = clock.now();
    const entry = {
      value: 'old',
      startedAt: at,
      createdAt: at,
      freshUntil: at + 9e9,
      staleUntil: at + 9e9,
      errorUntil: at + 9e9,
    };
    storage.inner.set('k', { ...entry, loadMs: 0, tags: [], meta: undefined }, at + 9e9);

    const before = cache.get('k');
    const invalidated = cache.invalidate('k');
    const after = cache.get('k');
    storage.pass('get');
    await settle();
    // Neither believes what storage gave: both load.
    upstream.resolveAll('new');
    expect(await Promise.all([before, after])).toEqual(['new', 'new']);
    await settle();
    storage.passAll();
    expect(await invalidated).toBe(true);
    await settle();
    storage.passAll();
    await cache.idle();

    expect(cache.peek('k')).toBe('new');
    expect(storage.inner.get('k')).toMatchObject({ value: 'new' });
  });

  test('a promotion that ends after the invalidation enters no tier', async () => {
    const storage = gatedStorage();
    const { cache, clock, upstream } = setupCache({ storage: storage.tier });
    const at = clock.now();
    const entry = {
      value: 'old',
      startedAt: at,
      createdAt: at,
      freshUntil: at + 9e9,
      staleUntil: at + 9e9,
      errorUntil: at + 9e9,
    };
    storage.inner.set('k', { ...entry, loadMs: 0, tags: [], meta: undefined }, at + 9e9);

    const probed = cache.getIfCached('k');
    const read = cache.get('k');
    const invalidated = cache.invalidate('k');
    storage.passAll();
    await settle();
    upstream.resolveAll('new');
    await Promise.all([probed, read]);
    await settle();
    storage.passAll();
    await invalidated;
    await settle();
    storage.passAll();
    await cache.idle();

    expect(cache.peek('k')).toBe('new');
    expect(storage.inner.get('k')).toMatchObject({ value: 'new' });
  });

  test('a deferred write of an older result cannot land after it', async () => {
    const storage = gatedStorage();
    const { cache, upstream } = setupCache({ storage: storage.tier });
    const read = cache.get('k');
    storage.pass('get');
    await settle();
    upstream.calls[0]!.resolve('old');
    await read;
    await settle();
    expect(storage.waiting.map(({ operation }) => operation)).toEqual(['set']);

    const invalidated = cache.invalidate('k');
    await settle();
    expect(storage.waiting.map(({ operation }) => operation)).toEqual(['set']);
    storage.pass('set');
    await settle();
    storage.pass('delete');
    await invalidated;

    expect(storage.inner.get('k')).toBeUndefined();
    const after = cache.get('k');
    await settle();
    storage.passAll();
    await settle();
    upstream.calls[1]!.resolve('new');
    expect(await after).toBe('new');
    await settle();
    storage.passAll();
  });

  test('while the deletion in storage is under way, no read finds the old value', async () => {
    const storage = gatedStorage();
    const { cache, upstream } = setupCache({ storage: storage.tier });
    const stored = cache.set('k', 'old');
    await settle();
    storage.pass('set');
    await stored;

    const invalidated = cache.invalidate('k');
    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('new');

    expect(await read).toBe('new');
    await settle();
    storage.passAll();
    await invalidated;
    await settle();
    storage.passAll();
    await settle();
    expect(storage.inner.get('k')).toMatchObject({ value: 'new' });
  });

  test('tells whether any tier held the key', async () => {
    const { cache } = setupCache({ storage: mapStorage(), memory: false });
    await cache.set('k', 'v');

    expect(await cache.invalidate('k')).toBe(true);
    expect(await cache.invalidate('k')).toBe(false);
  });

  test('takes several keys at once', async () => {
    const { cache } = setupCache();
    await cache.set('a', '1');
    await cache.set('b', '2');

    expect(await cache.invalidate(['a', 'b', 'c'])).toBe(true);
    expect([cache.peek('a'), cache.peek('b')]).toEqual([undefined, undefined]);
  });

  test('fences loads that are not coalesced as well', async () => {
    const { cache, upstream } = setupCache({ coalesce: false });

    const reads = [cache.get('k'), cache.get('k')];
    await cache.invalidate('k');
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('old');
    await Promise.all(reads);

    expect(cache.peek('k')).toBeUndefined();
  });

  test('invalidated while a write-back is awaited: memory stays empty', async () => {
    const storage = gatedStorage();
    const { cache, upstream } = setupCache({ storage: storage.tier, writeBack: 'await' });
    const read = cache.get('k');
    storage.pass('get');
    await settle();
    upstream.calls[0]!.resolve('old');
    await settle();

    const invalidated = cache.invalidate('k');
    storage.pass('set');
    await settle();
    storage.pass('delete');

    expect(await read).toBe('old');
    await invalidated;
    expect(cache.peek('k')).toBeUndefined();
    expect(storage.inner.get('k')).toBeUndefined();
  });
});

describe('set', () => {
  test('a slower load that started earlier never overwrites it, in memory or in storage', async () => {
    const storage = mapStorage();
    const { cache, upstream } = setupCache({ storage });

    const read = cache.get('k');
    await settle();
    await cache.set('k', 'mine');
    upstream.calls[0]!.resolve('older');

    expect(await read).toBe('older');
    await cache.idle();
    expect(await cache.get('k')).toBe('mine');
    expect((await storage.get('k'))!.value).toBe('mine');
  });

  test('a write that is still under way does not land over a newer one', async () => {
    const storage = gatedStorage();
    const { cache } = setupCache({ storage: storage.tier });

    const first = cache.set('k', 'first');
    await settle();
    const second = cache.set('k', 'second');
    await settle();
    expect(storage.waiting).toHaveLength(1);
    storage.passAll();
    await settle();
    storage.passAll();
    await Promise.all([first, second]);

    expect(storage.inner.get('k')).toMatchObject({ value: 'second' });
  });

  test('`undefined` is "not there": it takes the old value away', async () => {
    const storage = mapStorage();
    const { cache } = setupCache<string | undefined>({ storage });
    await cache.set('k', 'old');

    await cache.set('k', undefined);

    expect(cache.peek('k')).toBeUndefined();
    expect(await storage.get('k')).toBeUndefined();
  });

  test('with `ttl: 0` and no windows it takes the old value away too', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'old');

    await cache.set('k', 'new', { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 });

    expect(cache.peek('k')).toBeUndefined();
  });

  test('a promise is refused: the missing `await` is named', async () => {
    const { cache } = setupCache<unknown>();

    await expect(cache.set('k', Promise.resolve('v'))).rejects.toThrow(/await/);
  });

  test('a memory tier that refuses the new value does not go on serving the old one', async () => {
    const sizeOf = (value: string): number => (value === 'huge' ? NaN : 1);
    const { cache } = setupCache({ memory: lruMemory({ maxSize: 10, sizeOf }) });
    await cache.set('k', 'old');

    await cache.set('k', 'huge');

    expect(cache.peek('k')).toBeUndefined();
  });
});

describe('expire', () => {
  test('makes a fresh entry stale, in memory and in storage, and keeps it as a fallback', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage });
    await cache.set('k', 'v');

    await cache.expire('k');

    expect(await cache.lookup('k')).toMatchObject({ value: 'v', status: 'stale' });
    // By all clocks of processes that share the storage.
    expect((await storage.get('k'))!.freshUntil).toBe(clock.now() - 1_000);
    await settle();
    upstream.calls[0]!.reject(new Error('down'));
    await settle();
    clock.advance(120_000);
    const fallback = cache.get('k');
    await settle();
    upstream.calls[1]!.reject(new Error('down'));
    expect(await fallback).toBe('v');
  });

  test('during a load: its result, older than the call, is not stored as fresh', async () => {
    const { cache, upstream } = setupCache();

    const before = cache.get('k');
    await cache.expire('k');
    upstream.calls[0]!.resolve('old');

    expect(await before).toBe('old');
    const after = cache.get('k');
    upstream.calls[1]!.resolve('new');
    expect(await after).toBe('new');
  });

  test('during a background reload: the reload starts anew', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'v');
    clock.advance(1_000);
    await cache.get('k');

    await cache.expire('k');
    upstream.calls[0]!.resolve('older');
    await settle();

    expect(await cache.lookup('k')).toMatchObject({ value: 'v', status: 'stale' });
    expect(upstream.count).toBe(2);
  });

  test('never extends a life, and an unknown key is not an error', async () => {
    const { cache, clock } = setupCache();
    await cache.set('k', 'v');
    clock.advance(30_000);

    await cache.expire(['k', 'unknown']);
    clock.advance(31_000);

    expect(cache.peek('k')).toBeUndefined();
  });
});

describe('a listener that reads back', () => {
  test('after `set` finds the new value', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'old');
    let seen: Promise<string> | undefined;
    cache.on('set', () => {
      seen = cache.get('k');
    });

    void cache.set('k', 'new');

    expect(await seen).toBe('new');
  });

  test.each(['invalidate', 'expire'] as const)(
    'after `%s` of several keys finds none of them as it was',
    async (verb) => {
      const { cache } = setupCache();
      await cache.set('a', 'old');
      await cache.set('b', 'old');
      const seen: string[] = [];
      cache.on(verb, () => {
        void cache.lookup('b', { maxStale: 0 }).catch(() => {});
        seen.push(cache.getStats().inFlight > 0 ? 'loading' : 'old');
      });

      await cache[verb](['a', 'b']);

      expect(seen).toEqual(['loading', 'loading']);
    },
  );
});

describe('an expired key in a busy turn of the event loop', () => {
  test('is stale for the hits of that turn too', async () => {
    const cache = new TieredCache({ ttl: '1h', staleWhileRevalidate: '1h', upstream: () => 'v' });
    await cache.get('k');
    for (let read = 0; read < 100; read += 1) void cache.get('k');
    // Three milliseconds of the turn go by, of which hits have not heard.
    const later = Date.now() + 3;
    const time = vi.spyOn(Date, 'now').mockReturnValue(later);

    void cache.expire('k');
    void cache.get('k');
    time.mockRestore();

    expect(cache.getStats().staleHits).toBe(1);
    await cache.close();
  });
});
