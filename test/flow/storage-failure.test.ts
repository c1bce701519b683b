import { describe, expect, test } from 'vitest';

import {
  defineStorage,
  mapStorage,
  type CacheEvent,
  type Entry,
  type TieredCache,
  type TieredCacheOptions,
  type StorageAdapter,
} from '../../src/index.js';
import { chaos, type ChaosTier, type ManualClock } from '../../src/testing/index.js';
import { scriptedTier } from '../support/scripted-tier.js';
import { settle, setupCache } from '../support/setup-cache.js';

type Options = Omit<Partial<TieredCacheOptions<string>>, 'clock'>;

/** A cache over a storage that can be made to fail, and what it says about it. The upstream answers as the test says. */
function setup(options: Options = {}) {
  const storage = chaos(mapStorage());
  const parts = setupCache({ storage, ...options });
  const errors: Extract<CacheEvent, { type: 'tier-error' }>[] = [];
  parts.cache.on('tier-error', (event) => errors.push(event));
  return { ...parts, storage, errors };
}

/** A cache whose upstream answers at once with what `source.value` is at the time. */
function setupLive(options: Options = {}) {
  const source = { value: 'v1', loads: 0 };
  const upstream = (): string => {
    source.loads += 1;
    return source.value;
  };
  return { ...setup({ upstream, ...options }), source };
}

/** Another process, with a tier of its own over the same storage, that may not load anything. */
function another(storage: ChaosTier, clock: ManualClock): TieredCache<string> {
  return setupCache({ storage: defineStorage(storage), clock, upstream: () => 'loaded elsewhere' }).cache;
}

describe('a storage that fails', () => {
  test.each([
    ['throws', (storage: ChaosTier) => storage.failAlways('all', new Error('down'), 'throw')],
    ['rejects', (storage: ChaosTier) => storage.failAlways('all', new Error('down'))],
    ['returns garbage', (storage: ChaosTier) => storage.corrupt('all')],
  ])('and %s costs a load and an event, never a failed read', async (_how, trouble) => {
    const { cache, storage, errors } = setupLive();
    trouble(storage);

    expect(await cache.get('k')).toBe('v1');
    await cache.idle();

    expect(errors[0]).toMatchObject({ type: 'tier-error', tier: 'map', operation: 'get', key: 'k' });
    expect(cache.getStats().tierErrors).toBe(errors.length);
    expect(await cache.invalidate('k')).toBe(true);
    await cache.set('k', 'v2');
    await cache.expire('k');
    expect(await cache.getIfCached('k')).toBe('v2');
  });

  test('and hangs is waited for no longer than the deadline of a read, and not again before the load', async () => {
    const { cache, clock, storage, errors } = setupLive({ readTimeout: '200ms' });
    storage.hang('all');

    const read = cache.get('k');
    await clock.advanceAsync(199);
    let answered = false;
    void read.then(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    await clock.advanceAsync(1);

    expect(await read).toBe('v1');
    expect(errors).toMatchObject([
      { operation: 'get', key: 'k', error: { code: 'SOLOFLIGHT_TIER_TIMEOUT', deadline: 200 } },
    ]);
    await clock.advanceAsync(5_000);
    await cache.idle();
    // Where the tier says nothing before a load, nothing of that is written to it.
    expect(errors).toHaveLength(1);
    storage.release();
  });

  test('leaves the failure of the upstream as it is', async () => {
    const { cache, upstream, storage } = setup();
    storage.failAlways('all');
    const error = new Error('upstream down');

    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.reject(error);

    await expect(read).rejects.toBe(error);
  });

  test('is coalesced over like any other: a thousand callers cost one read of it and one load', async () => {
    const { cache, clock, storage, source } = setupLive();
    storage.hang('get');

    const reads = Array.from({ length: 1_000 }, () => cache.get('k'));
    await clock.advanceAsync(1_000);

    expect(new Set(await Promise.all(reads))).toEqual(new Set(['v1']));
    expect(storage.calls.get).toBe(1);
    expect(source.loads).toBe(1);
    storage.release();
  });

  test('and keeps failing is not asked any more, and used again once it is back', async () => {
    const { cache, clock, storage } = setupLive();
    storage.failAlways('all');
    for (let key = 0; key < 100; key += 1) await cache.get(`k${key}`);
    await cache.idle();
    const calls = storage.calls.get + storage.calls.setIfVersion;
    expect(calls).toBeLessThan(12);

    storage.restore();
    await clock.advanceAsync(5_000);
    await cache.get('finds it back');
    await settle();
    await cache.get('back');
    await cache.idle();
    const elsewhere = another(storage, clock);

    expect(await elsewhere.getIfCached('back')).toBe('v1');
  });

  test('with payloads that nobody here can decode leaves them to the version that can', async () => {
    const { cache, storage, errors } = setupLive();
    storage.corrupt('k', { version: 99 });

    await cache.get('k');
    await cache.idle();

    expect(errors).toHaveLength(1);
    expect(storage.calls.delete).toBe(0);
  });
});

describe('an invalidated value', () => {
  test.each(['fail', 'hang'] as const)(
    'is never served again when storage was down (%s) as it was invalidated, here or elsewhere',
    async (how) => {
      const { cache, clock, storage, source } = setupLive();
      await cache.get('k');
      await cache.idle();
      if (how === 'fail') storage.failAlways('all');
      else storage.hang('all');

      source.value = 'v2';
      const invalidated = cache.invalidate('k');
      await clock.advanceAsync(5_000);
      await invalidated;
      expect(await cache.getIfCached('k')).toBeUndefined();
      storage.restore();
      expect(await cache.getIfCached('k')).toBeUndefined();
      await clock.advanceAsync(5_000);
      expect(await cache.getIfCached('k')).toBeUndefined();
      await cache.getIfCached('other');
      await settle();

      expect(await another(storage, clock).get('k')).toBe('loaded elsewhere');
      expect(await cache.get('k')).not.toBe('v1');
    },
  );

  test('is not brought back by a write-back that hung before and lands after', async () => {
    const { cache, clock, storage, source } = setupLive({ memory: false });
    storage.hang('setIfVersion');
    await cache.get('k');
    await clock.advanceAsync(5_000);
    await cache.idle();

    source.value = 'v2';
    await cache.invalidate('k');
    expect(await cache.getIfCached('k')).toBeUndefined();
    storage.release();
    await settle();

    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(await another(storage, clock).get('k')).toBe('loaded elsewhere');
  });

  test('is removed from storage at the latest when the cache is closed', async () => {
    const { cache, clock, storage } = setupLive();
    await cache.get('k');
    await cache.idle();
    storage.failNext('delete');
    await cache.invalidate('k');

    await cache.close();

    expect(await another(storage, clock).get('k')).toBe('loaded elsewhere');
  });

  test('is not served by a read that storage answers only after the key was invalidated', async () => {
    const script = scriptedTier();
    const { cache, clock, upstream } = setupCache({ storage: script.tier });
    await script.stored.set('k', stored('old', clock.now()), Infinity);

    const before = cache.get('k');
    script.next('get').land();
    const invalidated = cache.invalidate('k');
    const after = cache.get('k');
    await settle();
    script.next('get').pass();
    script.next('delete').pass();
    await invalidated;
    await settle();
    for (const call of upstream.calls) call.resolve('new');

    expect(await after).toBe('new');
    expect(await before).toBe('new');
    await settle();
    for (const call of script.waiting) call.pass();
    await cache.idle();
    expect(await cache.get('k')).toBe('new');
  });
});

/** An entry as another process may have stored it, fresh for a second and stale for a minute. */
function stored(value: string, createdAt: number): Entry {
  return {
    value,
    startedAt: createdAt,
    createdAt,
    freshUntil: createdAt + 1_000,
    staleUntil: createdAt + 61_000,
    errorUntil: createdAt + 601_000,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}

describe('a value that was set', () => {
  test('while storage was down hides the stored one for ever', async () => {
    const { cache, clock, storage } = setupLive({ memory: false });
    await cache.set('k', 'old');
    storage.failAlways('all');

    await cache.set('k', 'new');
    expect(await cache.getIfCached('k')).toBeUndefined();
    storage.restore();
    await clock.advanceAsync(5_000);
    expect(await cache.getIfCached('k')).toBeUndefined();
    await cache.getIfCached('other');
    await settle();

    expect(await another(storage, clock).get('k')).toBe('loaded elsewhere');
  });

  test('is served from memory while storage is down, and the stored one is not once memory has let go of it', async () => {
    const { cache, storage, clock, source } = setupLive();
    await cache.set('k', 'old');
    storage.failNext('set');

    await cache.set('k', 'new');
    expect(await cache.get('k')).toBe('new');
    source.value = 'newest';
    clock.advance(61_000);

    expect(await cache.get('k')).toBe('newest');
  });

  test('survives a load that started earlier and whose write hung', async () => {
    const { cache, clock, storage } = setupLive({ memory: false });
    storage.hang('setIfVersion');
    await cache.get('k');
    await clock.advanceAsync(5_000);

    const set = cache.set('k', 'set');
    await settle();
    expect(await cache.getIfCached('k')).toBe('set');
    storage.release();
    await set;
    await cache.idle();

    expect(await cache.getIfCached('k')).toBe('set');
    expect(await another(storage, clock).getIfCached('k')).toBe('set');
  });
});

describe('a value that was expired', () => {
  test('while storage was down is stale, here and elsewhere', async () => {
    const { cache, clock, storage } = setupLive({ ttl: '1h', memory: false });
    await cache.set('k', 'v1');
    storage.failAlways('all');
    await cache.expire('k');

    storage.restore();
    await clock.advanceAsync(5_000);
    await cache.getIfCached('other');
    await settle();

    expect(await cache.getIfCached('k')).toBe('v1');
    expect(await cache.getIfCached('k', { maxStale: 0 })).toBeUndefined();
    expect(await another(storage, clock).getIfCached('k', { maxStale: 0 })).toBeUndefined();
  });

  test('is not fresh for a read whose answer storage gave before the expire reached it', async () => {
    const script = scriptedTier();
    const { cache, clock } = setupCache({ storage: script.tier, memory: false });
    await script.stored.set('k', stored('v', clock.now()), Infinity);

    const expired = cache.expire('k');
    await settle();
    const read = cache.getIfCached('k', { maxStale: 0 });
    script.calls[1]!.land();
    script.calls[0]!.pass();
    await settle();
    script.next('set').pass();
    await expired;
    script.calls[1]!.pass();
    await settle();
    script.next('get', '@!').pass();

    expect(await read).toBeUndefined();
  });
});

describe('write-back', () => {
  test('that is deferred touches storage only after the callers have their answer', async () => {
    const { cache, upstream, storage } = setup();
    let writesAtAnswer = -1;

    const read = cache.get('k').then(() => (writesAtAnswer = storage.calls.setIfVersion));
    await settle();
    upstream.calls[0]!.resolve('v');
    await read;
    await cache.idle();

    expect(writesAtAnswer).toBe(0);
    expect(storage.calls.setIfVersion).toBe(1);
  });

  test('that is awaited keeps callers until storage has the value, and no longer than the deadline', async () => {
    const { cache, clock, upstream, storage } = setup({ writeBack: 'await' });
    storage.delay('setIfVersion', 100, clock);
    let answered = 0;

    const first = cache.get('a').then(() => (answered += 1));
    await settle();
    upstream.calls[0]!.resolve('v');
    await clock.advanceAsync(99);
    expect(answered).toBe(0);
    await clock.advanceAsync(1);
    await first;

    storage.hang('setIfVersion');
    const second = cache.get('b').then(() => (answered += 1));
    await settle();
    upstream.calls[1]!.resolve('v');
    await clock.advanceAsync(4_999);
    expect(answered).toBe(1);
    await clock.advanceAsync(1);
    await second;
    storage.restore();
    await settle();
  });

  test('that is awaited and fails is an event: the callers have their value', async () => {
    const { cache, storage, errors } = setupLive({ writeBack: 'await' });
    storage.failAlways('setIfVersion');

    expect(await cache.get('k')).toBe('v1');

    expect(errors).toMatchObject([{ operation: 'set', key: 'k' }]);
  });

  test('replaces an entry from the future, which would otherwise pass for the newer one', async () => {
    const { cache, clock, storage, source } = setupLive({ memory: false });
    await storage.set('k', stored('from the future', clock.now() + 3_600_000), Infinity);
    source.value = 'now';

    expect(await cache.get('k')).toBe('now');
    await cache.idle();

    expect(await storage.get('k')).toMatchObject({ value: 'now' });
  });
});

describe('a cache without memory', () => {
  test('finds what it loaded although storage is slow to take it', async () => {
    const { cache, clock, storage, source } = setupLive({ memory: false });
    storage.delay('setIfVersion', 500, clock);

    expect(await cache.get('k')).toBe('v1');
    const again = cache.get('k');
    await clock.advanceAsync(500);

    expect(await again).toBe('v1');
    expect(source.loads).toBe(1);
    await cache.idle();
    expect(await cache.get('k')).toBe('v1');
    expect(source.loads).toBe(1);
  });

  test('loads every time while storage is down, once for all who ask meanwhile', async () => {
    const { cache, storage, source } = setupLive({ memory: false });
    storage.failAlways('all');

    for (let round = 0; round < 10; round += 1) {
      source.value = `v${round}`;
      expect(await Promise.all([cache.get('k'), cache.get('k')])).toEqual([`v${round}`, `v${round}`]);
      await cache.idle();
    }

    expect(source.loads).toBe(10);
  });
});

describe('several storage tiers', () => {
  function setupTwo(options: Options = {}) {
    const near = chaos({ ...bare(mapStorage()), name: 'near' });
    const far = chaos({ ...bare(mapStorage()), name: 'far' });
    return { ...setupLive({ storage: [near, far], ...options }), near, far };
  }

  /** The methods of `tier` in an object of their own. */
  function bare(tier: ReturnType<typeof mapStorage>): StorageAdapter {
    return {
      name: tier.name,
      get: (key) => tier.get(key),
      set: (key, entry, keepUntil) => tier.set(key, entry, keepUntil),
      delete: (key) => tier.delete(key),
      version: (key, newerThan) => tier.version!(key, newerThan),
      setIfVersion: (key, entry, keepUntil, version, change) =>
        tier.setIfVersion!(key, entry, keepUntil, version, change),
    };
  }

  test('a failing one is skipped, and what a further one holds is promoted past it to memory with its original instants', async () => {
    const { cache, clock, near, far, source } = setupTwo();
    const entry = stored('far', clock.now() - 400);
    await far.set('k', entry, Infinity);
    near.failAlways('all');

    expect(await cache.lookup('k')).toMatchObject({
      value: 'far',
      status: 'hit',
      tier: 'far',
      age: 400,
      freshFor: 600,
    });
    await cache.idle();
    clock.advance(100);

    expect(await cache.lookup('k')).toMatchObject({
      value: 'far',
      status: 'hit',
      tier: 'memory',
      age: 500,
      freshFor: 500,
    });
    expect(source.loads).toBe(0);
  });

  test('what a further one holds is promoted to the nearer one as it is', async () => {
    const { cache, clock, near, far } = setupTwo();
    const entry = stored('far', clock.now() - 400);
    await far.set('k', entry, Infinity);

    await cache.get('k');
    await cache.idle();

    expect(await near.get('k')).toEqual(entry);
    expect(far.calls.setIfVersion).toBe(0);
  });

  test('a stale entry found further away is served and promoted, never a newer one replaced', async () => {
    const { cache, clock, near, far, source } = setupTwo({ memory: false });
    await far.set('k', stored('older', clock.now() - 2_000), Infinity);
    await near.set('k', stored('newer', clock.now() - 1_500), Infinity);
    near.failNext('get');

    expect(await cache.get('k')).toBe('older');
    await cache.idle();

    expect(['newer', source.value]).toContain(((await near.get('k')) as Entry).value);
  });

  test('one that hangs delays a read by its deadline and keeps nothing else from working', async () => {
    const { cache, clock, near, far } = setupTwo();
    await far.set('k', stored('far', clock.now()), Infinity);
    near.hang('all');

    const read = cache.get('k');
    await clock.advanceAsync(1_000);
    expect(await read).toBe('far');
    const invalidated = cache.invalidate('k');
    await clock.advanceAsync(5_000);

    expect(await invalidated).toBe(true);
    near.release();
    await settle();
    expect(await cache.get('k')).toBe('v1');
  });

  test('an invalidation that one of them missed is not undone by a promotion from, or to, the other', async () => {
    for (const broken of ['near', 'far'] as const) {
      const parts = setupTwo();
      const { cache, clock, source } = parts;
      await cache.get('k');
      await cache.idle();
      parts[broken].failAlways('all');

      source.value = 'v2';
      await cache.invalidate('k');
      parts[broken].restore();
      for (let second = 0; second < 10; second += 1) {
        expect(await cache.getIfCached('k')).toBeUndefined();
        await clock.advanceAsync(1_000);
        await cache.getIfCached('other');
      }

      expect(await cache.get('k')).toBe('v2');
      await cache.idle();
      for (const tier of [parts.near, parts.far]) expect(((await tier.get('k')) as Entry).value).toBe('v2');
    }
  });
});

describe('close', () => {
  test('closes every adapter, also where one fails', async () => {
    const tiers = ['a', 'b', 'c'].map((name) => chaos({ ...mapStorageWithClose(), name }));
    const { cache } = setupLive({ storage: tiers });
    tiers[1]!.failAlways('close', new Error('close failed'), 'throw');
    await cache.get('k');

    await cache.close();
    await cache.close();

    expect(tiers.map(({ calls }) => calls.close)).toEqual([1, 1, 1]);
  });

  test('waits for deferred write-backs, then closes', async () => {
    const { cache, clock, storage } = setupLive();
    storage.delay('setIfVersion', 100, clock);
    await cache.get('k');

    const closed = cache.close();
    await clock.advanceAsync(99);
    expect(storage.calls.close).toBe(0);
    await clock.advanceAsync(1);
    await closed;

    expect(storage.calls.close).toBe(1);
    expect(await storage.get('k')).toMatchObject({ value: 'v1' });
  });

  test('waits for a set, an invalidate and an expire that nobody awaited', async () => {
    const { cache, clock, storage } = setupLive();
    await storage.set('removed', stored('v', clock.now()), Infinity);
    for (const operation of ['set', 'delete'] as const) storage.delay(operation, 100, clock);

    void cache.set('k', 'v');
    void cache.invalidate('removed');
    void cache.expire('k');
    const closed = cache.close();
    await clock.advanceAsync(99);
    expect(storage.calls.close).toBe(0);
    await clock.advanceAsync(101);
    await closed;

    expect(storage.calls.close).toBe(1);
    expect(await storage.get('k')).toMatchObject({ value: 'v', freshUntil: clock.now() - 1_200 });
    expect(await storage.get('removed')).toBeUndefined();
  });

  test('is over by the deadlines even if everything about storage hangs', async () => {
    const { cache, clock, storage } = setupLive();
    storage.hang('all');
    void cache.get('k');
    await clock.advanceAsync(1_000);
    void cache.invalidate('other');

    let closed = false;
    void cache.close().then(() => (closed = true));
    for (let wait = 0; wait < 4; wait += 1) await clock.advanceAsync(5_000);

    expect(closed).toBe(true);
    expect(clock.pending).toBe(0);
    storage.release();
  });
});

function mapStorageWithClose(): StorageAdapter {
  const tier = mapStorage();
  return {
    name: 'map',
    get: (key) => tier.get(key),
    set: (key, entry, until) => tier.set(key, entry, until),
    delete: (key) => tier.delete(key),
    close: () => {},
  };
}
