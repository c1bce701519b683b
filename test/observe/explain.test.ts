import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, Singleflight, type TieredCacheOptions } from '../../src/index.js';
import { explain, observe } from '../../src/observe/index.js';
import { manualClock } from '../../src/testing/index.js';
import { WriteBehind } from '../../src/writes/index.js';
import { settle, setupCache, type Parts } from '../support/setup-cache.js';
import { unversioned } from '../support/unversioned.js';
import { wire } from '../support/wire.js';

const down = Object.assign(new Error('no connection to the database of user 7'), { code: 'ECONNREFUSED' });

/** A cache that holds `k`, loaded just now. */
async function setup(options: Partial<Omit<TieredCacheOptions<string>, 'clock'>> = {}) {
  const parts = setupCache({ ttl: '10s', staleWhileRevalidate: '10s', staleIfError: '20s', tags: ['t'], ...options });
  observe(parts.cache);
  await load(parts);
  return parts;
}

async function load({ cache, upstream }: Parts<string>): Promise<void> {
  const reading = cache.get('k');
  await settle();
  upstream.calls.at(-1)!.resolve('secret-value');
  await reading;
  await cache.idle();
}

/** Reads `k`, and lets the load fail. */
async function fail({ cache, upstream }: Parts<string>): Promise<void> {
  const reading = cache.get('k').catch(() => {});
  await settle();
  upstream.calls.at(-1)!.reject(down);
  await reading;
  await cache.idle();
}

describe('the verdict of explain', () => {
  test('a fresh value is a hit from memory', async () => {
    const { cache, clock } = await setup();
    clock.advance(4_000);

    const told = await explain(cache, 'k');

    expect(told).toMatchObject({ verdict: 'hit', answeredBy: 'memory', state: 'fresh', loading: false });
    expect(String(told)).toBe(
      [
        'k is fresh for 6 s and is answered from memory.',
        'memory: loaded 4 s ago, fresh for 6 s, served while reloaded for 16 s, stands in for 26 s, tags t',
        'last causes: none known',
      ].join('\n'),
    );
  });

  test('a stale value is answered at once, and a read reloads it', async () => {
    const { cache, clock, upstream } = await setup();
    clock.advance(12_000);

    const told = await explain(cache, 'k');

    expect(told).toMatchObject({ verdict: 'stale', answeredBy: 'memory' });
    expect(String(told)).toContain('k is stale since 2 s and is answered at once from memory; a read starts a reload.');
    expect(upstream.calls).toHaveLength(1);
  });

  test('a stale value whose reload failed says so, and when the next one is tried', async () => {
    const parts = await setup();
    parts.clock.advance(12_000);
    await fail(parts);

    const told = await explain(parts.cache, 'k');

    expect(told).toMatchObject({ verdict: 'stale', failure: { error: 'ECONNREFUSED', attempts: 1, covered: true } });
    expect(String(told)).toMatch(/a load failed once \(ECONNREFUSED\), and the next one is tried in [\d.]+ m?s\./);
  });

  test('stale in memory is stale, also where storage has a fresh one: a get does not look there', async () => {
    const storage = mapStorage();
    const clock = manualClock({ random: () => 0.999 });
    const { cache } = await setup({ storage, clock } as object);
    clock.advance(12_000);
    const other = setupCache({ storage, clock, ttl: '10s' });
    await other.cache.set('k', 'newer');

    const told = await explain(cache, 'k');

    expect(told).toMatchObject({ verdict: 'stale', answeredBy: 'memory', state: 'fresh' });
    expect(told.entries.map(({ tier, state }) => [tier, state])).toEqual([
      ['memory', 'stale'],
      ['map', 'fresh'],
    ]);
    expect((await cache.lookup('k')).status).toBe('stale');
  });

  test('an expired value stands in after a failure', async () => {
    const parts = await setup();
    parts.clock.advance(22_000);
    await fail(parts);

    expect(await explain(parts.cache, 'k')).toMatchObject({ verdict: 'fallback', answeredBy: 'memory' });
  });

  test('a failure that callers get again is told by its code, and never by its message', async () => {
    const parts = setupCache({ errorTtl: '5s' });
    await fail(parts);

    const told = await explain(parts.cache, 'k');

    expect(told).toMatchObject({ verdict: 'failed', answeredBy: undefined });
    expect(String(told)).toContain('callers get that failure for another 5 s');
    expect(JSON.stringify(told) + String(told)).not.toContain('user 7');
  });

  test('a load under way is waited for, and an absent key is loaded', async () => {
    const { cache, upstream } = setupCache();
    expect(await explain(cache, 'k')).toMatchObject({ verdict: 'miss', answeredBy: 'upstream', state: 'absent' });

    const reading = cache.get('k');
    await settle();
    expect(await explain(cache, 'k')).toMatchObject({ verdict: 'wait', answeredBy: 'upstream' });
    upstream.calls[0]!.resolve('v');
    await reading;
  });

  test('a write that is not delivered yet answers', async () => {
    const writes = new WriteBehind<string>({ sink: async () => {}, flushEvery: Infinity });
    const { cache } = setupCache({ writes, memory: false });
    await cache.set('k', 'written');

    expect(await explain(cache, 'k')).toMatchObject({ verdict: 'hit', answeredBy: 'writes' });
    await writes.flush();
  });

  test('storage that does not answer is said not to be known', async () => {
    const away = (): Promise<never> => Promise.reject(new Error('away'));
    const { cache } = setupCache({ storage: defineStorage({ name: 'away', get: away, set: away, delete: away }) });

    const told = await explain(cache, 'k');

    expect(told).toMatchObject({ verdict: 'miss', state: 'unknown' });
    expect(String(told)).toContain('storage does not answer');
  });

  test('holds no value, and leaves no trace', async () => {
    const { cache, upstream } = await setup();
    const before = cache.getStats();

    const told = await explain(cache, 'k');

    expect(JSON.stringify(told) + String(told)).not.toContain('secret-value');
    expect(cache.getStats()).toEqual(before);
    expect(upstream.calls).toHaveLength(1);
  });

  test('a key with markup, control characters and 10,000 characters becomes one bounded line', async () => {
    const { cache } = setupCache();
    const key = `<img onerror=x>\n\u0000\uD800${'k'.repeat(10_000)}`;

    const [line] = String(await explain(cache, key)).split('\nlast');

    expect(line).toHaveLength(128 + ' is not cached: a read loads it.'.length);
    expect(line).not.toMatch(/[\n\0\uD800]/);
  });

  test.each([[new Singleflight()], [{}], [undefined]])('refuses %s', async (source) => {
    await expect(explain(source as never, 'k')).rejects.toThrow(TypeError);
  });

  test('refuses a key that is no string, as inspect does', async () => {
    await expect(explain(setupCache().cache, 7 as never)).rejects.toThrow(TypeError);
  });
});

describe('the causes of explain', () => {
  test('changes by this process, the newest first', async () => {
    const { cache } = await setup();
    await cache.set('k', 'v');
    await cache.expire('k');
    await cache.invalidateTags('t', { mode: 'expire' });
    await cache.set('other', 'v');

    const told = await explain(cache, 'k');

    expect(told.causes.map(({ kind, from, certain }) => [kind, from, certain])).toEqual([
      ['tags', 'here', true],
      ['expire', 'here', true],
      ['set', 'here', true],
    ]);
    expect(String(told)).toMatch(/expired by tag t by this process \d+ ms ago; expired by this process/);
  });

  test('a tag that the entry does not have is no cause; of what is gone, a tag is a guess', async () => {
    const { cache } = await setup();
    await cache.invalidateTags('foreign', { mode: 'expire' });
    expect((await explain(cache, 'k')).causes).toEqual([]);

    await cache.invalidateTags('t');
    const told = await explain(cache, 'k');

    expect(told.causes[0]).toMatchObject({ kind: 'tags', tags: ['t'], certain: false });
    expect(String(told)).toContain('perhaps invalidated by tag t');
  });

  test('clear is a cause for every key', async () => {
    const { cache } = await setup();
    await cache.clear();

    expect((await explain(cache, 'k')).causes).toMatchObject([{ kind: 'clear', from: 'here', certain: true }]);
  });

  test('a prefix is a cause for the keys that begin with it, and for no other', async () => {
    const { cache } = await setup();
    await cache.invalidatePrefix('user:');

    expect((await explain(cache, 'user:1')).causes).toMatchObject([{ kind: 'clear', from: 'here', certain: true }]);
    expect((await explain(cache, 'post:1')).causes).toEqual([]);
  });

  test.each([
    ['invalidate', 'invalidate', (cache: Parts<string>['cache']) => cache.invalidate('k')],
    ['set', 'set', (cache: Parts<string>['cache']) => cache.set('k', 'new')],
    ['expire', 'expire', (cache: Parts<string>['cache']) => cache.expire('k')],
    ['tags', 'tags', (cache: Parts<string>['cache']) => cache.invalidateTags('t')],
    ['clear', 'clear', (cache: Parts<string>['cache']) => cache.clear()],
    ['invalidatePrefix', 'clear', (cache: Parts<string>['cache']) => cache.invalidatePrefix('k')],
  ])('%s by another process is told with its id', async (_, kind, change) => {
    const channel = wire();
    const storage = mapStorage();
    const clock = manualClock({ random: () => 0.999 });
    const here = await setup({ storage, clock, backplane: channel.plug() } as object);
    const there = setupCache({ storage, clock, backplane: channel.plug(), ttl: '10s' });
    await there.cache.get('k');
    clock.advance(10);

    await change(there.cache);
    await settle();

    const { causes } = await explain(here.cache, 'k');
    expect(causes[0]).toMatchObject({ kind });
    expect(causes[0]!.from).not.toBe('here');
    expect(causes[0]!.from.length).toBeGreaterThan(3);
  });

  test('keeps the last thousand, and tells ten', async () => {
    const { cache } = await setup();
    await cache.invalidate('k');
    await cache.invalidate(Array.from({ length: 999 }, (_, index) => `k-${index}`));
    expect((await explain(cache, 'k')).causes).toHaveLength(1);

    await cache.invalidate('one more');
    expect((await explain(cache, 'k')).causes).toEqual([]);
    for (let time = 0; time < 20; time += 1) await cache.set('k', 'v');
    expect((await explain(cache, 'k')).causes).toHaveLength(10);
  });
});

test('what storage missed of another process is told apart from what is not there', async () => {
  const channel = wire();
  const clock = manualClock({ random: () => 0.999 });
  const stored = unversioned(mapStorage());
  const broken = defineStorage({
    ...stored,
    delete: () => Promise.reject(new Error('away')),
    deleteMany: undefined as never,
  });
  const common = { clock, ttl: '1h', clockSkew: 0 } as const;
  const here = setupCache({ ...common, storage: stored, backplane: channel.plug() });
  const there = setupCache({ ...common, storage: broken, backplane: channel.plug() });
  await load(here);
  clock.advance(10);

  await there.cache.invalidate('k');
  await settle();

  const told = await explain(here.cache, 'k');
  expect(told).toMatchObject({ verdict: 'miss', state: 'doubted', entries: [] });
  expect(String(told)).toContain('another process changed it, and storage has yet to be told');
  expect((await here.cache.inspect('absent')).state).toBe('absent');
});
