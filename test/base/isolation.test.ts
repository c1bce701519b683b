import { describe, expect, test } from 'vitest';

import { mapStorage, TieredCache } from '../../src/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

interface Post {
  title: string;
  tags: string[];
  at?: Date;
}

const post = (): Post => ({ title: 'a', tags: ['x'] });

describe('values that are shared (`none`, the default)', () => {
  test('are the very value the upstream gave', async () => {
    const { cache, upstream } = setupCache<Post>();
    const value = post();

    const read = cache.get('k');
    upstream.calls[0]!.resolve(value);

    expect(await read).toBe(value);
    expect(await cache.get('k')).toBe(value);
  });
});

describe('values that are frozen', () => {
  test('can be changed by nobody, however deep, loaded or set', async () => {
    const { cache, upstream } = setupCache<Post>({ isolate: 'freeze' });

    const read = cache.get('loaded');
    upstream.calls[0]!.resolve(post());
    await cache.set('set', post());

    for (const value of [await read, await cache.get('set'), cache.peek('loaded')!]) {
      expect(() => value.tags.push('y')).toThrow(TypeError);
      expect(() => Object.assign(value, { title: 'b' })).toThrow(TypeError);
    }
  });

  test('are frozen when they come from storage too', async () => {
    const storage = mapStorage();
    const first = setupCache<Post>({ storage });
    await first.cache.set('k', post());
    const { cache } = setupCache<Post>({ storage, isolate: 'freeze', clock: first.clock });

    const value = await cache.get('k');

    expect(() => value.tags.push('y')).toThrow(TypeError);
  });

  test('are frozen below what was frozen already', async () => {
    const cache = new TieredCache<{ deep: { n: number } }>({ ttl: '1m', isolate: 'freeze' });
    const hidden = Symbol('hidden');
    const value = Object.freeze({ deep: { n: 1 }, [hidden]: { n: 1 }, list: Object.freeze([{ n: 1 }]) });
    await cache.set('k', value);

    const read = (await cache.get('k')) as typeof value;

    expect(() => (read.deep.n = 2)).toThrow(TypeError);
    expect(() => (read.list[0]!.n = 2)).toThrow(TypeError);
    expect(() => (read[hidden].n = 2)).toThrow(TypeError);
  });

  test('and hold what cannot be frozen come as a copy to each caller', async () => {
    const value = {
      map: new Map([['a', { n: 1 }]]),
      deep: [{ set: new Set([1]) }],
      at: new Date(0),
      bytes: Uint8Array.of(1),
      user: new (class User {
        readonly #name = 'Ada';
        get name(): string {
          return this.#name;
        }
      })(),
    };
    const { cache, upstream } = setupCache<typeof value>({ isolate: 'freeze' });
    const reading = cache.get('k');
    upstream.calls[0]!.resolve(value);

    for (const read of [await reading, await cache.get('k'), value]) {
      read.map.set('b', { n: 2 });
      read.deep[0]!.set.add(2);
      read.at.setTime(5);
      read.bytes[0] = 5;
      expect(() => (read.map.get('a')!.n = 2)).toThrow(TypeError);
      expect(() => read.deep.push({ set: new Set() })).toThrow(TypeError);
    }
    const { map, deep, at, bytes, user } = await cache.get('k');

    expect([map.size, deep[0]!.set.size, at.getTime(), bytes[0], user.name]).toEqual([1, 1, 0, 1, 'Ada']);
    expect(cache.peek('k')).not.toBe(cache.peek('k'));
  });

  test('and hold nothing else are one and the same for all callers', async () => {
    const { cache } = setupCache<object>({ isolate: 'freeze' });
    await cache.set('k', { a: [1] });

    expect(await cache.get('k')).toBe(await cache.get('k'));
  });

  test('may hold cycles, dates and bytes', async () => {
    const { cache } = setupCache<Record<string, unknown>>({ isolate: 'freeze' });
    const value: Record<string, unknown> = { at: new Date(0), bytes: new Uint8Array([1]) };
    value['self'] = value;

    await cache.set('k', value);

    expect(Object.isFrozen(await cache.get('k'))).toBe(true);
  });
});

describe('values that are cloned', () => {
  test('are everybody’s own: a change reaches neither the cache nor another caller', async () => {
    const { cache, upstream } = setupCache<Post>({ isolate: 'clone' });
    const original = { ...post(), at: new Date(0) };

    const readers = [cache.get('k'), cache.get('k'), cache.lookup('k').then(({ value }) => value)];
    upstream.calls[0]!.resolve(original);
    const values = [
      ...(await Promise.all(readers)),
      await cache.get('k'),
      cache.peek('k')!,
      (await cache.getIfCached('k'))!,
    ];
    original.title = 'changed by the upstream';
    values.forEach((value, index) => value.tags.push(`changed by ${index}`));

    expect(new Set(values).size).toBe(values.length);
    expect(await cache.get('k')).toEqual({ title: 'a', tags: ['x'], at: new Date(0) });
  });

  test('a value given to `set` can be changed afterwards without effect, and so can `load.stale`', async () => {
    const { cache, clock, upstream } = setupCache<Post>({ isolate: 'clone' });
    const mine = post();
    await cache.set('k', mine);
    mine.title = 'changed';
    clock.advance(1_000);

    await cache.get('k');
    upstream.calls[0]!.stale!.value.title = 'changed';

    expect((await cache.get('k')).title).toBe('a');
  });

  test('one that can’t be cloned fails its load, or its `set`, and leaves what was there', async () => {
    const { cache, upstream } = setupCache<unknown>({ isolate: 'clone' });
    await cache.set('k', 'old');

    await expect(cache.set('k', () => {})).rejects.toThrow(/could not be cloned/);
    const read = cache.get('other');
    upstream.calls[0]!.resolve({ method: () => {} });

    await expect(read).rejects.toThrow(/could not be cloned/);
    expect(cache.peek('k')).toBe('old');
    await settle();
  });
});
