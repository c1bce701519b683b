import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, noMemory, TieredCache, type StorageTier, type Upstream } from '../../src/index.js';

const userOf: Upstream<string> = (id) => `user ${id}`;
const postOf: Upstream<string> = (id) => `post ${id}`;

function cacheOf(storage: StorageTier | StorageTier[], upstream: Upstream<string>, name?: string): TieredCache<string> {
  return new TieredCache({ ttl: '1m', storage, upstream, ...(name !== undefined && { name }) });
}

describe('two caches without a name on one storage', () => {
  test('are refused if they load different things: a user would come back as a post', () => {
    const storage = mapStorage();
    cacheOf(storage, userOf);

    expect(() => cacheOf(storage, postOf)).toThrow(
      new TypeError(
        "Two caches with different upstreams use one storage ('map') without a `name`: they would read each other's values. Give each a name, such as `name: 'users'`",
      ),
    );
    expect(() => new TieredCache({ ttl: '1m', storage, loadMany: (ids) => ids.map((id) => `post ${id}`) })).toThrow(
      /`name`/,
    );
  });

  test('are told apart by names, one of which may be missing', async () => {
    const storage = mapStorage();
    const users = cacheOf(storage, userOf);
    const posts = cacheOf(storage, postOf, 'posts');

    expect([await users.get('1'), await posts.get('1')]).toEqual(['user 1', 'post 1']);
  });

  test('share their entries if they load the same: one made anew for each request', async () => {
    const storage = mapStorage();
    const made = (): TieredCache<string> =>
      new TieredCache({ ttl: '1m', storage, memory: noMemory(), upstream: (id) => `user ${id}` });
    await made().set('1', 'stored');

    expect(await made().get('1')).toBe('stored');
  });

  test('may follow each other: the first was closed', async () => {
    const storage = mapStorage();
    await cacheOf(storage, userOf).close();

    expect(() => cacheOf(storage, postOf)).not.toThrow();
    expect(() => cacheOf(storage, userOf)).toThrow(/`name`/);
  });

  test('are refused wherever the storage stands among several, and the others stay free', () => {
    const [near, far] = [mapStorage(), mapStorage()];
    cacheOf(far, userOf);

    expect(() => cacheOf([near, far], postOf)).toThrow(/`name`/);
    expect(() => cacheOf(near, userOf)).not.toThrow();
  });

  test('are not refused on tiers of their own', () => {
    const storage = mapStorage();
    cacheOf(defineStorage(storage), userOf);

    expect(() => cacheOf(defineStorage(storage), postOf)).not.toThrow();
  });

  test('are not refused for a namespace or where only one loads by itself', async () => {
    const storage = mapStorage();
    const users = cacheOf(storage, userOf);
    const loose = new TieredCache<string>({ ttl: '1m', storage });

    expect(await users.namespace('a').get('1')).toBe('user 1');
    expect(await loose.getOrLoad('2', postOf)).toBe('post 2');
  });
});
