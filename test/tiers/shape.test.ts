import { describe, expect, test } from 'vitest';

import {
  defineStorage,
  mapStorage,
  noMemory,
  schemaOnLoad,
  TieredCache,
  type CacheEvent,
  type Schema,
  type StandardSchema,
  type StorageTier,
  type TierOptions,
} from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';

interface Post {
  readonly title: string;
}

const isPost = (value: unknown): boolean => typeof (value as Partial<Post>).title === 'string';

/** A Standard Schema of posts, as libraries make them. */
function schemaOf(fits: (value: unknown) => boolean, isAsync = false): StandardSchema {
  const answer = (value: unknown) => (fits(value) ? { value } : { issues: [{ message: 'expected a post' }] });
  const validate = (value: unknown) => (isAsync ? Promise.resolve(answer(value)) : answer(value));
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

/** One program of a fleet: a cache without memory, and a tier of its own over what all share. */
function program<V>(shared: StorageTier, options: TierOptions, upstream?: () => V) {
  const cache = new TieredCache<V>({
    ...{ ttl: '1h', memory: noMemory(), storage: defineStorage(shared, options) },
    ...(upstream !== undefined && { upstream }),
  });
  const told: Extract<CacheEvent, { type: 'tier-error' }>[] = [];
  cache.on('tier-error', (event) => told.push(event));
  return { cache, told };
}

describe('a stored value of another version', () => {
  const versions: readonly [string, TierOptions, TierOptions][] = [
    ['another one', { version: 1 }, { version: 2 }],
    ['none, read by a program that has one', {}, { version: 2 }],
    ['one, read by a program that has none', { version: 1 }, {}],
    ['the same as text', { version: 1 }, { version: '1' }],
  ];

  test.each(versions)('is a miss, told once, and is not deleted: %s', async (_name, before, after) => {
    const shared = mapStorage();
    const old = program<Post>(shared, before);
    await old.cache.set('k', { title: 'old' });
    const { cache, told } = program<Post>(shared, after);

    expect([await cache.getIfCached('k'), await cache.getIfCached('k')]).toEqual([undefined, undefined]);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ key: 'k', operation: 'get', error: { code: 'SOLOFLIGHT_UNDECODABLE' } });
    expect(await old.cache.getIfCached('k')).toEqual({ title: 'old' });
  });

  test('is replaced by a load, and what the old program invalidates is gone for both', async () => {
    const shared = mapStorage();
    const old = program<Post>(shared, { version: 1 }, () => ({ title: 'old' }));
    const { cache } = program<Post>(shared, { version: 2 }, () => ({ title: 'new' }));
    await old.cache.get('k');
    await old.cache.idle();

    expect(await cache.get('k')).toEqual({ title: 'new' });
    await cache.idle();
    expect(await cache.getIfCached('k')).toEqual({ title: 'new' });
    await old.cache.invalidate('k');
    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('of an entry with tags, expired or pending, is told apart as well', async () => {
    const shared = mapStorage();
    const { cache } = program<Post>(shared, { version: 1 });
    const writing = cache.set('k', { title: 'own' }, { tags: ['t'] });

    expect(await cache.getIfCached('k')).toEqual({ title: 'own' });
    await writing;
    expect(await cache.getIfCached('k')).toEqual({ title: 'own' });
    await cache.invalidateTags('t');
    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('is a miss in SQLite, also for a bulk read', async () => {
    const database = new (process.getBuiltinModule('node:sqlite').DatabaseSync)(':memory:');
    const open = (version: number): TieredCache<Post> =>
      new TieredCache({
        ttl: '1h',
        writeBack: 'await',
        storage: sqliteStorage({ database, version }),
        upstream: () => ({ title: `v${version}` }),
      });
    await open(1).getMany(['a', 'b']);

    expect(await open(1).getIfCached('a')).toEqual({ title: 'v1' });
    expect(await open(2).getMany(['a', 'b'])).toEqual([{ title: 'v2' }, { title: 'v2' }]);
  });
});

test('a version in storage that is none is a miss like any other', async () => {
  const shared = mapStorage();
  await program<unknown>(shared, {}).cache.set('k', { 'soloflight.version': { toString: 1 }, value: 1 });
  const { cache, told } = program<unknown>(shared, { version: 1 });

  expect(await cache.getIfCached('k')).toBeUndefined();
  expect(told).toHaveLength(1);
});

describe('a stored value of another shape', () => {
  const schemas: readonly [string, Schema][] = [
    ['a predicate', isPost],
    ['a Standard Schema', schemaOf(isPost)],
    ['an asynchronous one', schemaOf(isPost, true)],
    ['one that is a function, too', Object.assign(() => true, schemaOf(isPost))],
    ['one that fails', schemaOf((value) => isPost(value) || JSON.parse('{'))],
  ];

  test.each(schemas)('is a miss, told once, and is not deleted: %s', async (_name, schema) => {
    const shared = mapStorage();
    const old = program<unknown>(shared, {});
    await old.cache.set('bad', { name: 'no post' });
    await old.cache.set('good', { title: 'a post' });
    const { cache, told } = program<unknown>(shared, { schema });

    expect([await cache.getIfCached('bad'), await cache.getIfCached('bad')]).toEqual([undefined, undefined]);
    expect(await cache.getIfCached('good')).toEqual({ title: 'a post' });
    expect(told).toHaveLength(1);
    expect(await old.cache.getIfCached('bad')).toEqual({ name: 'no post' });
  });

  test('that says that there is nothing fits', async () => {
    const shared = mapStorage();
    const options = {
      writeBack: 'await',
      ttl: '1h',
      absentTtl: '1h',
      storage: defineStorage(shared, { schema: isPost, version: 3 }),
    } as const;
    let loads = 0;
    const upstream = (): Post | undefined => {
      loads += 1;
      return undefined;
    };
    const open = (): TieredCache<Post | undefined> => new TieredCache<Post | undefined>({ ...options, upstream });
    await open().get('k');

    await open().get('k');

    expect(loads).toBe(1);
  });
});

describe('a loaded value of another shape', () => {
  test.each<[string, Schema]>([
    ['a predicate', isPost],
    ['an asynchronous schema', schemaOf(isPost, true)],
  ])('fails its load where `schemaOnLoad` stands before the upstream: %s', async (_name, schema) => {
    let answer: unknown = { name: 'no post' };
    const cache = new TieredCache<unknown>({ ttl: '1h', upstream: schemaOnLoad<unknown>(schema, () => answer) });

    await expect(cache.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_SCHEMA', key: 'k' });
    answer = { title: 'a post' };
    expect(await cache.get('k')).toBe(answer);
  });
});

test('schemas and versions that make no sense are refused at once', () => {
  for (const options of [{ schema: 1 }, { schema: {} }, { version: '' }, { version: NaN }, { version: {} }])
    expect(() => defineStorage(mapStorage(), options as never)).toThrow(TypeError);
  expect(() => schemaOnLoad({} as never, () => 1)).toThrow(/`schema`/);
});
