import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, TieredCache, type StorageTier } from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';
import { chaos, manualClock } from '../../src/testing/index.js';
import { settle } from '../support/setup-cache.ts';

type Tiers = StorageTier | readonly StorageTier[];

function setup(storage: Tiers = mapStorage(), name?: string) {
  const clock = manualClock();
  const options = { ttl: '1m', clock, storage, ...(name === undefined ? {} : { name }) } as const;
  const cache = new TieredCache<string>({ ...options, upstream: (key) => `value of ${key}` });
  const put = async (...keys: string[]): Promise<void> => cache.setMany(keys.map((key) => [key, key]));
  return { clock, cache, put };
}

async function allOf(cache: TieredCache<string>, options: { prefix?: string; limit?: number } = {}): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await cache.keys({ ...options, cursor });
    expect(page.keys.length).toBeLessThanOrEqual(options.limit ?? 1_000);
    keys.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return keys.sort();
}

describe.each([
  ['a map', () => mapStorage()],
  ['SQLite', () => sqliteStorage({ database: ':memory:' })],
] as const)('keys over %s', (_name, open) => {
  test('are those stored under the prefix, a page at a time', async () => {
    const { cache, put } = setup(open());
    const users = Array.from({ length: 25 }, (_, id) => `user:${id}`).sort();
    await put(...users, 'post:1', 'users');

    expect(await allOf(cache, { prefix: 'user:' })).toEqual(users);
    expect(await allOf(cache, { prefix: 'user:', limit: 1 })).toEqual(users);
    expect(await allOf(cache, { limit: 4 })).toEqual(['post:1', ...users, 'users']);
    expect(await allOf(cache, { prefix: 'nobody' })).toEqual([]);
  });

  test('are those of one namespace, whatever the others hold and keys look like', async () => {
    const { cache, put } = setup(open(), 'shop');
    const inner = cache.namespace('a');
    await put('a', '@/a', '@4:shop/x', 'a/inner');
    await inner.set('only inside', 'x');

    expect(await allOf(cache)).toEqual(['@/a', '@4:shop/x', 'a', 'a/inner']);
    expect(await allOf(inner)).toEqual(['only inside']);
    expect(await allOf(cache, { prefix: '@' })).toEqual(['@/a', '@4:shop/x']);
  });

  test('of a cache without a name are those outside of all namespaces', async () => {
    const { cache, put } = setup(open());
    await put('a', '@1:n/b', '@');
    await cache.namespace('n').set('b', 'x');

    expect(await allOf(cache, { limit: 1 })).toEqual(['@', '@1:n/b', 'a']);
    expect(await allOf(cache.namespace('n'))).toEqual(['b']);
  });

  test('are no markers, and nothing that is expired, invalidated by tag, or cleared', async () => {
    const { cache, clock, put } = setup(open());
    await put('expired');
    clock.advance(60_001);
    await cache.set('tagged', 'x', { tags: ['t'] });
    await put('plain', 'gone');
    expect(await allOf(cache)).toEqual(['gone', 'plain', 'tagged']);
    await cache.invalidateTags('t');
    await cache.invalidate('gone');

    expect(await allOf(cache)).toEqual(['plain']);
    await cache.clear();
    expect(await allOf(cache, { limit: 1 })).toEqual([]);
    clock.advance(1);
    await put('new');
    expect(await allOf(cache)).toEqual(['new']);
  });
});

test('keys loads nothing and counts nothing', async () => {
  const { cache, put } = setup();
  await put('a', 'b');
  const before = cache.getStats();

  await cache.keys();

  expect(cache.getStats()).toEqual(before);
});

test('keys asks the furthest tier that can list', async () => {
  const { cache, put } = setup([mapStorage(), mapStorage(), storageThatCantList()]);
  await put('a');

  expect(await allOf(cache)).toEqual(['a']);
});

test('keys of tiers that cannot list, and of memory alone, is a TypeError that says so', async () => {
  const memoryOnly = new TieredCache<string>({ ttl: '1m', upstream: () => 'x' });

  await expect(setup(storageThatCantList()).cache.keys()).rejects.toThrow(
    /Expected `storage` to be a tier that can list its keys for `keys` \(map, SQLite, Redis.*got `'plain'`/,
  );
  await expect(memoryOnly.keys()).rejects.toThrow('Expected `storage` to be set for `keys`: memory is not listed');
});

test.each([
  [{ limit: 0 }, /`limit` to be an integer from 1 to 10000/],
  [{ limit: 1.5 }, /`limit`/],
  [{ prefix: 7 }, /`prefix` to be a string/],
  [{ cursor: 'made up' }, /`cursor` to be the cursor of a page/],
  [{ cursor: '[1]' }, /`cursor`/],
  [{ after: 'x' }, /unknown names|Unknown option/],
  [null, /`options`/],
])('keys refuses %j', async (options, message) => {
  const { cache } = setup();

  await expect(cache.keys(options as never)).rejects.toThrow(message);
});

test('keys rejects with the failure of the storage: an empty list would be a lie', async () => {
  const storage = chaos(mapStorage());
  const { cache, put } = setup(storage);
  await put('a');
  storage.failNext('keys', new Error('no connection'));
  await expect(cache.keys()).rejects.toThrow('no connection');

  storage.hang('keys');
  const { clock, cache: impatient } = setup(storage, 'impatient');
  const listing = impatient.keys();
  await settle();
  clock.advance(1_001);
  await expect(listing).rejects.toMatchObject({ code: 'SOLOFLIGHT_TIER_TIMEOUT' });
  storage.release();
});

test('keys takes whatever an adapter tells beyond the limit to the next page', async () => {
  const base = mapStorage();
  const generous = defineStorage({ ...base, keys: (range) => base.keys!({ ...range, limit: range.limit + 3 }) });
  const { cache, put } = setup(generous);
  await put('a', 'b', 'c', 'd', 'e');

  expect((await cache.keys({ limit: 2 })).keys).toEqual(['a', 'b']);
  expect(await allOf(cache, { limit: 2 })).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('keys of a closed cache rejects', async () => {
  const { cache } = setup();
  await cache.close();

  await expect(cache.keys()).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
});

function storageThatCantList(): StorageTier {
  const map = mapStorage();
  return defineStorage({
    name: 'plain',
    get: (key) => map.get(key),
    set: (key, entry, keepUntil) => map.set(key, entry, keepUntil),
    delete: (key) => map.delete(key),
  });
}
