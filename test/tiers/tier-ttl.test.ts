import { describe, expect, test } from 'vitest';

import {
  defineStorage,
  lruMemory,
  mapStorage,
  sieveMemory,
  TieredCache,
  type MemoryTier,
  type StorageAdapter,
  type TieredCacheOptions,
} from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { leasingStorage } from '../support/leasing-storage.js';
import { settle, setupCache } from '../support/setup-cache.js';
import { wire } from '../support/wire.js';

type Options = Partial<Omit<TieredCacheOptions<string>, 'clock'>> & { readonly clock?: ManualClock };

/** A cache of values that live for a minute and are never stale, over a storage, unless `options` say otherwise. */
function setup(options: Options = {}) {
  const storage = mapStorage();
  const parts = setupCache({ storage, ttl: '1m', staleWhileRevalidate: 0, staleIfError: 0, ...options });
  /** Where a read of `key` found its value. The upstream answers at once, `value` if it is asked. */
  const tierOf = async (key: string, value = 'v', cache: TieredCache<string> = parts.cache): Promise<string> => {
    const reading = cache.lookup(key);
    await settle();
    for (const call of parts.upstream.calls) if (!call.settled) call.resolve(value);
    const { tier } = await reading;
    await cache.idle();
    return tier;
  };
  return { ...parts, storage, tierOf };
}

describe.each([
  ['lruMemory', () => lruMemory<string>({ max: 10, ttl: '10s' })],
  ['sieveMemory', () => sieveMemory<string>({ max: 10, ttl: '10s' })],
])('%s with a ttl of ten seconds', (_, memory: () => MemoryTier<string>) => {
  test('serves for ten seconds from memory, then from storage, then from memory again', async () => {
    const { clock, upstream, tierOf } = setup({ memory: memory() });
    expect(await tierOf('k')).toBe('upstream');

    clock.advance(9_999);
    expect(await tierOf('k')).toBe('memory');
    clock.advance(1);
    expect(await tierOf('k')).toBe('map');
    clock.advance(9_999);
    expect(await tierOf('k')).toBe('memory');
    clock.advance(1);
    expect(await tierOf('k')).toBe('map');

    expect(upstream.count).toBe(1);
  });

  test('never lengthens the life of an entry that ends sooner', async () => {
    const { clock, tierOf } = setup({ memory: memory() });
    await tierOf('k');
    clock.advance(55_000);
    expect(await tierOf('k')).toBe('map');

    clock.advance(4_999);
    expect(await tierOf('k')).toBe('memory');
    clock.advance(1);

    expect(await tierOf('k')).toBe('upstream');
  });

  test('ends the stale windows too, and storage goes on with them', async () => {
    const { cache, clock, upstream, tierOf } = setup({ memory: memory(), ttl: '1s', staleWhileRevalidate: '1m' });
    await tierOf('k');
    clock.advance(10_000);

    const found = await cache.lookup('k');

    expect(found).toMatchObject({ value: 'v', status: 'stale', tier: 'map' });
    await settle();
    upstream.calls[1]!.resolve('new');
    await settle();
  });

  test.each([
    ['expired', (cache: TieredCache<string>) => cache.expire('k')],
    ['expired by its tag', (cache: TieredCache<string>) => cache.invalidateTags('t', { mode: 'expire' })],
  ])('is not renewed where an entry is %s', async (_how, expire) => {
    const { cache, clock, tierOf } = setup({
      ...{ memory: memory(), storage: [], tags: ['t'] },
      ...{ staleWhileRevalidate: '1m', errorBackoff: { initial: '1h', max: '1h' } },
    });
    await tierOf('k');
    clock.advance(5_000);
    await expire(cache);
    expect(cache.peek('k')).toBe('v');

    clock.advance(4_999);
    expect(cache.peek('k')).toBe('v');
    clock.advance(1);

    expect(cache.peek('k')).toBeUndefined();
  });

  test('counts for a value that was set as for one that was loaded', async () => {
    const { cache, clock, tierOf } = setup({ memory: memory() });
    await cache.set('k', 'v');

    clock.advance(10_000);

    expect(await tierOf('k')).toBe('map');
  });

  test('counts in namespaces, and in a cache whose memory was cleared beside them', async () => {
    const { cache, clock, tierOf } = setup({ memory: memory() });
    const inner = cache.namespace('inner');
    await cache.clear();
    await Promise.all([cache.set('k', 'v'), inner.set('k', 'v')]);

    clock.advance(10_000);

    expect([await tierOf('k'), await tierOf('k', 'v', inner)]).toEqual(['map', 'map']);
  });

  test('counts in a cache that listens to others', async () => {
    const { clock, tierOf } = setup({ memory: memory(), backplane: wire().plug() });
    await tierOf('k');

    clock.advance(10_000);

    expect(await tierOf('k')).toBe('map');
  });

  test('lets a value go whose lease was lost, as memory without a ttl does', async () => {
    const clock = manualClock({ random: () => 0.999 });
    const storage = leasingStorage(clock);
    const here = setupCache({ clock, storage, memory: memory() });
    const there = setupCache({ clock, storage });
    const reading = here.cache.get('k');
    await settle();

    clock.advance(10);
    await there.cache.set('k', 'newer');
    here.upstream.calls[0]!.resolve('older');
    expect(await reading).toBe('older');
    await here.cache.idle();

    expect(await here.cache.get('k')).toBe('newer');
  });

  test.each([0.8, { beta: 200 }])(
    'does not hurry the reloads of refreshAhead: %j, where storage goes on',
    async (ahead) => {
      const clock = manualClock({ random: () => 0.5 });
      const { cache, upstream, tierOf } = setup({ memory: memory(), ttl: '10m', refreshAhead: ahead, clock });
      const loading = cache.get('k');
      await settle();
      clock.advance(10);
      upstream.calls[0]!.resolve('v');
      await loading;

      for (let second = 0; second < 450; second += 1) {
        clock.advance(1_000);
        await tierOf('k');
      }

      expect(upstream.count).toBe(1);
    },
  );

  test('counts as the ttl for refreshAhead where nothing goes on', async () => {
    const { clock, upstream, tierOf } = setup({ memory: memory(), storage: [], refreshAhead: 0.8 });
    await tierOf('k');

    clock.advance(7_999);
    await tierOf('k');
    expect(upstream.count).toBe(1);
    clock.advance(1);
    await tierOf('k', 'new');

    expect(upstream.calls.map(({ reason }) => reason)).toEqual(['miss', 'revalidate']);
  });
});

describe('a memory tier with a ttl that makes no sense', () => {
  test.each([0, -1, NaN, '10s', null])('%j is refused where the cache is made', (ttl) => {
    const memory = Object.assign(Object.create(lruMemory<string>()), { ttl });

    expect(() => new TieredCache({ ttl: '1m', memory })).toThrow('Expected `memory.ttl` to be');
  });
});

/** An adapter over a `Map` that notes until when it is to keep an entry. */
function notingAdapter() {
  const map = mapStorage();
  const kept: number[] = [];
  const adapter: StorageAdapter = {
    name: 'noting',
    get: (key) => map.get(key),
    set: (key, entry, keepUntil) => {
      kept.push(keepUntil);
      return map.set(key, entry, keepUntil);
    },
    delete: (key) => map.delete(key),
  };
  return { adapter, kept };
}

describe('a storage with a ttl of ten seconds', () => {
  test('has an entry for ten seconds, and no longer', async () => {
    const storage = mapStorage({ ttl: '10s' });
    const { clock, upstream, tierOf } = setup({ storage, memory: false });
    await tierOf('k');

    clock.advance(9_999);
    expect(await tierOf('k')).toBe('map');
    clock.advance(1);
    expect(await tierOf('k')).toBe('upstream');

    expect(upstream.count).toBe(2);
  });

  test('ends before memory does, which goes on', async () => {
    const storage = mapStorage({ ttl: '10s' });
    const { clock, tierOf } = setup({ storage });
    const other = setup({ storage, clock });
    await tierOf('k');

    clock.advance(59_999);
    expect(await tierOf('k')).toBe('memory');
    expect(await other.tierOf('k', 'another')).toBe('upstream');
    clock.advance(1);

    expect(await tierOf('k')).toBe('map');
  });

  test('gives memory no more than is left of its ten seconds', async () => {
    const storage = mapStorage({ ttl: '10s' });
    const { clock, tierOf } = setup({ storage });
    const other = setup({ storage, clock });
    await tierOf('k');
    clock.advance(5_000);

    expect(await other.tierOf('k')).toBe('map');
    clock.advance(4_999);
    expect(await other.tierOf('k')).toBe('memory');
    clock.advance(1);

    expect(await other.tierOf('k')).toBe('upstream');
  });

  test('tells its adapter, and never lengthens a life', async () => {
    const { adapter, kept } = notingAdapter();
    const { cache, clock } = setup({ storage: defineStorage(adapter, { ttl: '10s' }) });
    const now = clock.now();

    await cache.set('long', 'v');
    await cache.set('short', 'v', { ttl: '1s' });

    expect(kept).toEqual([now + 10_000, now + 1_000]);
  });

  test('counts for what is stored with a lease', async () => {
    const clock = manualClock({ random: () => 0.999 });
    const leasing = leasingStorage(clock);
    const { name } = leasing;
    const adapter: StorageAdapter = {
      name,
      get: (key) => leasing.get(key),
      set: (...write) => leasing.set(...write),
      delete: (key) => leasing.delete(key),
      lease: (...question) => leasing.lease(...question),
    };
    const storage = defineStorage(adapter, { ttl: '10s' });
    const { tierOf } = setup({ storage, clock, memory: false });
    await tierOf('k');
    expect(leasing.asked()).toBe(1);

    clock.advance(9_999);
    expect(await tierOf('k')).toBe(name);
    clock.advance(1);

    expect(await tierOf('k')).toBe('upstream');
  });

  test('hands over to the next storage, and is filled from there for ten more', async () => {
    const near = mapStorage({ ttl: '10s' });
    const { adapter } = notingAdapter();
    const { clock, upstream, tierOf } = setup({ storage: [near, defineStorage(adapter)], memory: false });
    await tierOf('k');

    clock.advance(10_000);
    expect(await tierOf('k')).toBe('noting');
    clock.advance(9_999);
    expect(await tierOf('k')).toBe('map');
    clock.advance(1);
    expect(await tierOf('k')).toBe('noting');

    expect(upstream.count).toBe(1);
  });

  test('does not forget what was invalidated while an entry may still be there', async () => {
    const storage = mapStorage({ ttl: '10s' });
    const { cache, clock, tierOf } = setup({ storage, tags: ['t'], memory: false });
    const other = setup({ storage, tags: ['t'], clock, memory: false });
    clock.advance(5_000);
    await tierOf('k');
    clock.advance(5_000);

    await cache.invalidateTags('t');
    clock.advance(4_999);

    expect(await other.tierOf('k', 'new')).toBe('upstream');
  });
});
