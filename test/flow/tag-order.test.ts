import { describe, expect, test } from 'vitest';

import { loaded, lruMemory, mapStorage, notModified, type CacheEvent, type StorageTier } from '../../src/index.js';
import { chaos, manualClock } from '../../src/testing/index.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

const MANY = Array.from({ length: 51_000 }, (_, index) => `many ${index}`);
const DAY = 24 * 3_600_000;

/** Answers in the next turn, so that reads are gathered. */
function later(inner: StorageTier): StorageTier {
  return overridden(inner, {
    get: async (key) => inner.get(key),
    getMany: async (keys) => inner.getMany!(keys),
  });
}

describe('in memory', () => {
  test('an entry found valid after one invalidation is checked again after the next', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'v', { tags: ['t'] });
    await cache.invalidateTags('other');
    expect(cache.peek('k')).toBe('v');

    await cache.invalidateTags('t');

    expect(cache.peek('k')).toBeUndefined();
    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(cache.getStats().size).toBe(0);
  });

  test('a tag marked twice says nothing about other tags', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'v', { tags: ['other'] });

    await cache.invalidateTags('t');
    await cache.invalidateTags('t');

    expect(cache.peek('k')).toBe('v');
  });

  test('an entry expired by tag is stale since then, not since it is looked at', async () => {
    const { cache, clock } = setupCache({ ttl: '1h' });
    await cache.set('k', 'v', { tags: ['t'] });
    await cache.invalidateTags('t', { mode: 'expire' });
    clock.advance(30_000);

    expect(await cache.getIfCached('k', { maxStale: '10s' })).toBeUndefined();
    expect(await cache.getIfCached('k', { maxStale: '40s' })).toBe('v');
  });

  test('an entry expired by tag is stale at once, also when the clock has jumped back since it was stored', async () => {
    const { cache, clock } = setupCache({ ttl: '1h', storage: mapStorage() });
    await cache.set('k', 'v', { tags: ['t'] });
    clock.jump(-3_000);

    await cache.invalidateTags('t', { mode: 'expire' });

    expect(await cache.getIfCached('k', { maxStale: 0 })).toBeUndefined();
  });

  test('what was forgotten of tags says nothing about entries without any', async () => {
    const { cache } = setupCache();
    await cache.getOrLoad('k', () => loaded('v', { meta: 'an ETag' }));

    await cache.invalidateTags(MANY);

    expect(cache.peek('k')).toBe('v');
  });
});

describe('a load', () => {
  test('of a tag that was marked, and forgotten, since it began is nothing for who asked afterwards', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });
    const before = cache.get('k');
    await cache.invalidateTags('t');
    await cache.invalidateTags(MANY);

    const after = cache.get('k');
    upstream.calls[0]!.resolve('old');
    await before;
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
  });

  test('of a tag that was expired since it began is nothing for who asked afterwards', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });
    const before = cache.get('k');
    await cache.invalidateTags('t', { mode: 'expire' });

    const after = cache.get('k');
    upstream.calls[0]!.resolve('old');
    await before;
    await settle();
    upstream.calls[1]!.resolve('new');

    expect(await after).toBe('new');
  });

  test('answers who asked before, however often its tag is invalidated meanwhile', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });
    const before = [cache.lookup('k'), cache.get('k')];

    await cache.invalidateTags('t');
    await cache.invalidateTags('t');
    upstream.calls[0]!.resolve('v');

    expect(await Promise.all(before)).toMatchObject([{ value: 'v', stored: false }, 'v']);
    expect(upstream.count).toBe(1);
  });

  test('is needed once per reader and invalidation, even if one comes during each of them', async () => {
    const { cache, upstream } = setupCache({ tags: ['t'] });
    const reads = [cache.get('k')];
    for (let round = 0; round < 5; round += 1) {
      await cache.invalidateTags('t');
      reads.push(cache.get('k'));
      upstream.calls.at(-1)!.resolve(`${round}`);
      await settle();
    }
    upstream.calls.at(-1)!.resolve('5');

    expect(await Promise.all(reads)).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(upstream.count).toBe(6);
  });
});

describe('without memory, one load is enough', () => {
  test.each([
    ['after a tag was invalidated a moment ago', 'tag', 999],
    ['in the very millisecond of `clear`', 'clear', 0],
  ] as const)('%s', async (_when, verb, ms) => {
    const { cache, clock, upstream } = setupCache({ storage: mapStorage(), memory: false, ttl: '1h' });
    if (verb === 'tag') await cache.invalidateTags('t');
    else await cache.clear();
    clock.advance(ms);

    for (let round = 0; round < 3; round += 1) {
      const read = cache.get('k');
      await settle();
      upstream.resolveAll(verb === 'tag' ? loaded('v', { tags: ['t'] }) : 'v');
      expect(await read).toBe('v');
      await cache.idle();
    }

    expect(upstream.count).toBe(1);
  });
});

describe('an entry from storage', () => {
  test('that is valid stays so in memory, whatever was invalidated before', async () => {
    const storage = mapStorage();
    const { cache, clock } = setupCache({ storage, ttl: '1h' });
    await cache.invalidateTags('t');
    clock.advance(5_000);
    const other = setupCache({ storage, clock });
    await other.cache.set('k', 'v', { tags: ['t'], ttl: '1h' });

    expect(await cache.getIfCached('k')).toBe('v');
    expect(cache.peek('k')).toBe('v');
  });

  test('whose process has a clock ahead of this one is invalidated like any other, once it was seen', async () => {
    const storage = mapStorage();
    const ahead = setupCache({ storage, ttl: '1h', clock: manualClock({ now: 1_700_000_003_000 }) });
    await ahead.cache.set('k', 'old', { tags: ['t'] });
    const { cache } = setupCache({ storage, ttl: '1h' });
    expect(await cache.getIfCached('k')).toBe('old');

    await cache.invalidateTags('t');

    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('from the future does not take the marks of others there', async () => {
    const storage = mapStorage();
    const ahead = setupCache({ storage, ttl: '1h', clock: manualClock({ now: 1_800_000_000_000 }) });
    await ahead.cache.set('k', 'old', { tags: ['t'] });
    const { cache, clock } = setupCache({ storage, ttl: '1h' });
    expect(await cache.getIfCached('k')).toBeUndefined();

    await cache.invalidateTags('other');

    expect(await storage.get('@#other')).toMatchObject({ startedAt: clock.now() });
  });

  test('of the very millisecond of the mark is not believed, even where clocks agree', async () => {
    const storage = mapStorage();
    const other = setupCache({ storage, ttl: '1h', clockSkew: 0 });
    await other.cache.set('k', 'old', { tags: ['t'] });
    const { cache } = setupCache({ storage, ttl: '1h', clockSkew: 0 });

    await cache.invalidateTags('t');

    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('another one than this process stored is not taken for its own', async () => {
    const storage = mapStorage();
    const { cache, clock } = setupCache({ storage, memory: false, ttl: '1h' });
    const other = setupCache({ storage, memory: false, ttl: '1h', clock: manualClock({ now: clock.now() + 500 }) });
    await cache.invalidateTags('t');
    await cache.set('k', 'new', { tags: ['t'] });
    await other.cache.set('k', 'maybe older than the mark', { tags: ['t'] });

    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('is not believed where the marker of `clear` can not be read', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage, ttl: '1h' });
    await first.cache.set('k', 'v');
    const broken = overridden(storage, {
      get: (key) => {
        if (key === '@!') throw new Error('not this one');
        return storage.get(key);
      },
    });
    const { cache } = setupCache({ storage: broken, clock: first.clock });
    const errors: CacheEvent[] = [];
    cache.on('tier-error', (event) => errors.push(event));

    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(errors).toHaveLength(1);
    expect(errors[0]).not.toHaveProperty('key');
  });

  test('is asked for together with the marker of `clear`, and that one anew in each turn', async () => {
    const inner = mapStorage();
    const storage = chaos(later(inner));
    const other = setupCache({ storage: inner, ttl: '1h' });
    await other.cache.setMany([
      ['a', 'v'],
      ['b', 'v'],
    ]);
    const { cache } = setupCache({ storage, clock: other.clock });
    await cache.getIfCached('unknown');
    const { get, getMany } = storage.calls;

    expect(await cache.getIfCached('a')).toBe('v');
    expect([storage.calls.get - get, storage.calls.getMany - getMany]).toEqual([0, 1]);
    await other.cache.clear();
    expect(await cache.getIfCached('b')).toBeUndefined();
  });

  test('is not believed where its markers are asked for together and can not be read', async () => {
    const inner = mapStorage();
    const first = setupCache({ storage: inner, ttl: '1h' });
    await first.cache.set('k', 'v', { tags: ['t'] });
    const broken = overridden(inner, {
      getMany: (keys) => {
        if (keys.includes('@#t')) throw new Error('not these');
        return inner.getMany!(keys);
      },
    });
    const { cache } = setupCache({ storage: later(broken), clock: first.clock });
    await cache.getIfCached('unknown');

    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('still on its way there is found although nothing can be read', async () => {
    const storage = chaos(mapStorage());
    const { cache, clock } = setupCache({ storage, memory: false, ttl: '1h' });
    await cache.invalidateTags('t');
    storage.hang('all');
    const written = cache.set('k', 'v', { tags: ['t'] });

    const read = cache.getIfCached('k');
    await clock.advanceAsync(2_000);
    expect(await read).toBe('v');

    storage.restore();
    await clock.advanceAsync(10_000);
    await written;
  });

  test.each(['invalidateTags', 'clear'] as const)(
    'that is promoted when `%s` comes is not found in the tier above',
    async (verb) => {
      for (let turns = 0; turns < 40; turns += 1) {
        const [near, far] = [mapStorage(), mapStorage()];
        const first = setupCache({ storage: far, ttl: '1h' });
        await first.cache.set('k', 'old', { tags: ['t'] });
        const { cache } = setupCache({ storage: [near, far], memory: false, ttl: '1h', clock: first.clock });
        const before = cache.getIfCached('k');
        for (let turn = 0; turn < turns; turn += 1) await null;

        if (verb === 'clear') void cache.clear();
        else void cache.invalidateTags('t');

        expect(await cache.getIfCached('k'), `after ${turns} turns`).toBeUndefined();
        await cache.idle();
        expect(await cache.getIfCached('k'), `at the end, ${turns} turns`).toBeUndefined();
        await before;
      }
    },
  );
});

describe('what was read from storage before', () => {
  test.each(['invalidateTags', 'clear'] as const)('is not put into memory after `%s`', async (verb) => {
    for (let turns = 0; turns < 40; turns += 1) {
      const storage = mapStorage();
      const first = setupCache({ storage, ttl: '1h' });
      await first.cache.set('k', 'old', verb === 'clear' ? {} : { tags: ['t'] });
      const { cache } = setupCache({ storage, ttl: '1h', clock: first.clock });
      const before = cache.getIfCached('k');
      for (let turn = 0; turn < turns; turn += 1) await null;

      if (verb === 'clear') void cache.clear();
      else void cache.invalidateTags('t');

      expect(await cache.getIfCached('k'), `after ${turns} turns`).toBeUndefined();
      await before;
      expect(cache.peek('k'), `at the end, ${turns} turns`).toBeUndefined();
    }
  });
});

test('a renewed value keeps its tags', async () => {
  const { cache, clock, upstream } = setupCache();
  const read = cache.get('k');
  upstream.calls[0]!.resolve(loaded('v', { tags: ['t'] }));
  await read;
  clock.advance(2_000);
  await cache.get('k');
  upstream.calls[1]!.resolve(notModified());
  await settle();
  expect(await cache.lookup('k')).toMatchObject({ status: 'hit', tags: ['t'] });

  await cache.invalidateTags('t');

  expect(cache.peek('k')).toBeUndefined();
});

test.each(['invalidateTags', 'clear'] as const)('`%s` resolves once storage knows', async (verb) => {
  const storage = chaos(mapStorage());
  const { cache } = setupCache({ storage });
  storage.hang(verb === 'clear' ? 'setIfVersion' : 'setIfNewer');
  const order: string[] = [];

  const done = (verb === 'clear' ? cache.clear() : cache.invalidateTags('t')).then(() => order.push('resolved'));
  await settle();
  order.push('released');
  storage.release();
  await done;

  expect(order).toEqual(['released', 'resolved']);
});

test('markers are kept in storage for thirty days, those of `clear` for good, and every tier has them', async () => {
  const tiers = [mapStorage(), mapStorage()];
  const { cache, clock } = setupCache({ storage: tiers });
  await cache.invalidateTags('t');
  await cache.invalidateTags('t', { mode: 'expire' });
  await cache.clear();

  for (const tier of tiers) {
    await tier.sweep!(clock.now() + 29 * DAY, 1_000);
    for (const marker of ['@#t', '@~t', '@!']) expect(await tier.get(marker)).toBeDefined();
    await tier.sweep!(clock.now() + 31 * DAY, 1_000);
    expect(await tier.get('@#t')).toBeUndefined();
    expect(await tier.get('@!')).toBeDefined();
  }
});

describe('namespaces', () => {
  test('cleared in masses are forgotten one by one and cleared all together: nothing comes back', async () => {
    const { cache } = setupCache({ memory: lruMemory({ max: 1_000 }) });
    const [cleared, kept] = [cache.namespace('cleared'), cache.namespace('kept')];
    await cleared.set('k', 'old');
    await cleared.clear();
    await kept.set('k', 'old');

    for (let index = 0; index < 10_001; index += 1) await cache.namespace(`${index}`).clear();

    expect([cleared.peek('k'), kept.peek('k')]).toEqual([undefined, undefined]);
    await kept.set('k', 'new');
    await cleared.clear();
    expect(kept.peek('k')).toBe('new');
  });

  test('keep their statistics between two uses, though nobody holds on to them', async () => {
    const { cache } = setupCache();
    await cache.namespace('a').set('k', 'v');
    await cache.namespace('a').get('k');

    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc?.();
    }

    expect(cache.namespace('a').getStats().hits).toBe(1);
  });
});
