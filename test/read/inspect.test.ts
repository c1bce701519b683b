import { inspect as show } from 'node:util';

import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, type CacheEvent, type TieredCache } from '../../src/index.js';
import { WriteBehind } from '../../src/writes/index.js';
import { scriptedTier } from '../support/scripted-tier.ts';
import { settle, setupCache } from '../support/setup-cache.ts';

/** A cache with one entry, loaded just now, in memory and in a storage. */
async function setup() {
  const storage = mapStorage();
  const parts = setupCache({ storage, ttl: '10s', staleWhileRevalidate: '10s', staleIfError: '20s', tags: ['t'] });
  const { cache, upstream } = parts;
  const reading = cache.get('k');
  await settle();
  upstream.calls[0]!.resolve('value');
  await reading;
  await cache.idle();
  return { ...parts, storage };
}

/** All that a look must leave alone. */
function traces(cache: TieredCache<string>) {
  const events: CacheEvent[] = [];
  for (const type of ['hit', 'stale', 'miss', 'load', 'revalidate', 'coalesced'] as const)
    cache.on(type, (event) => events.push(event));
  const before = cache.getStats();
  return () => ({ events, before, after: cache.getStats() });
}

describe('a look at a key', () => {
  test('tells fresh, stale, expired and gone apart, and starts no load', async () => {
    const { cache, clock, upstream } = await setup();
    const states: unknown[] = [];
    for (const ms of [0, 10_000, 10_000, 10_000]) {
      clock.advance(ms);
      const { state, tier, age, freshFor } = await cache.inspect('k');
      states.push([state, tier, age, freshFor]);
    }

    expect(states).toEqual([
      ['fresh', 'memory', 0, 10_000],
      ['stale', 'memory', 10_000, 0],
      ['expired', 'memory', 20_000, -10_000],
      ['absent', undefined, undefined, undefined],
    ]);
    expect(upstream.calls.length).toBe(1);
  });

  test('counts nothing, tells nobody, and promotes nothing', async () => {
    const { cache, storage } = await setup();
    const other = setupCache({ storage, ttl: '10s' });
    const left = traces(other.cache);

    const looked = await other.cache.inspect('k');
    await other.cache.inspect('absent');
    await other.cache.idle();

    expect(looked).toMatchObject({ key: 'k', state: 'fresh', tier: 'map', tags: ['t'], loading: false });
    const { events, before, after } = left();
    expect(events).toEqual([]);
    expect(after).toEqual(before);
    expect(other.cache.peek('k')).toBeUndefined();
    await cache.close();
  });

  test('shows a load under way, and waits for none', async () => {
    const { cache, upstream } = setupCache();
    const reading = cache.get('k');
    await settle();

    expect(await cache.inspect('k')).toMatchObject({ state: 'absent', loading: true });
    upstream.calls[0]!.resolve('value');
    await reading;
  });

  test('shows why there is no load: the last one failed, and when the next one may be', async () => {
    const { cache, clock, upstream } = await setup();
    clock.advance(10_000);
    expect((await cache.lookup('k')).status).toBe('stale');
    await settle();
    upstream.calls[1]!.reject(new Error('down'));
    await cache.idle();

    const { state, failure } = await cache.inspect('k');

    expect(state).toBe('stale');
    expect(failure).toMatchObject({ error: new Error('down'), attempts: 1 });
    expect(failure!.retryIn).toBeGreaterThan(0);
  });

  test('says that it does not know where storage does not answer', async () => {
    const script = scriptedTier();
    const { cache } = setupCache({ storage: script.tier });
    const looking = cache.inspect('k');
    await settle();
    script.next('get').fail();

    expect((await looking).state).toBe('unknown');
  });

  test('says so as well while storage is not even asked, since it keeps failing', async () => {
    const failing = defineStorage({
      name: 'failing',
      get: () => Promise.reject(new Error('away')),
      set: () => Promise.reject(new Error('away')),
      delete: () => Promise.reject(new Error('away')),
    });
    const { cache } = setupCache({ storage: failing });
    for (let turn = 0; turn < 10; turn += 1) await cache.getIfCached(`k-${turn}`);

    expect((await cache.inspect('k')).state).toBe('unknown');
    expect(show(cache)).toContain('failing (away)');
  });

  test('shows a write that is not delivered yet', async () => {
    const writes = new WriteBehind<string>({ sink: async () => {}, flushEvery: Infinity });
    const { cache } = setupCache({ writes });
    await cache.set('k', 'written');
    await cache.invalidate('k').catch(() => {});

    expect(await cache.inspect('k')).toMatchObject({ state: 'fresh', tier: 'writes' });
    await writes.close();
  });

  test('refuses a key that is no string', async () => {
    const { cache } = setupCache();
    await expect(cache.inspect(5 as never)).rejects.toThrow('key');
  });
});

test('a cache shows itself on one line, in console.log as well', async () => {
  const { cache } = await setup();
  const line = "TieredCache 'posts' (0 in memory, 0 flights, map)";

  expect(show(setupCache({ name: 'posts', storage: mapStorage() }).cache)).toBe(line);
  expect(String(cache)).toBe("TieredCache '' (1 in memory, 0 flights, map)");
  expect(show({ cache: setupCache().cache })).toContain('no storage');
});
