import { describe, expectTypeOf, test } from 'vitest';

import { fetchUpstream } from '../../src/http/index.js';
import {
  defineStorage,
  isSoloflightError,
  loaded,
  lruMemory,
  notModified,
  parseDuration,
  sieveMemory,
  Singleflight,
  TieredCache,
  type Entry,
  type SoloflightError,
  type Loaded,
  type Lookup,
  type ReadableCache,
  type StorageTier,
  type Upstream,
} from '../../src/index.js';

interface Post {
  readonly title: string;
}

describe('what callers get', () => {
  test('execute and join give what the work gives', () => {
    const flights = new Singleflight();

    expectTypeOf(flights.execute('k', () => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(flights.execute('k', async () => 'v')).toEqualTypeOf<Promise<string>>();
    expectTypeOf(flights.join('k', async () => true)).toEqualTypeOf<{
      result: Promise<boolean>;
      role: 'leader' | 'follower';
    }>();
    expectTypeOf<Singleflight<symbol>['has']>().parameter(0).toEqualTypeOf<symbol>();
  });

  test('the work knows its flight', () => {
    void new Singleflight<number>().execute(1, (flight) => {
      expectTypeOf(flight.key).toEqualTypeOf<number>();
      expectTypeOf(flight.signal).toEqualTypeOf<AbortSignal>();
      return flight.execute(2, () => 'nested');
    });
  });

  test('reads give the value type of the cache', () => {
    const cache = new TieredCache<Post>({ ttl: '10s' });

    expectTypeOf(cache.get('k')).toEqualTypeOf<Promise<Post>>();
    expectTypeOf(cache.peek('k')).toEqualTypeOf<Post | undefined>();
    expectTypeOf(cache.getIfCached('k')).toEqualTypeOf<Promise<Post | undefined>>();
    expectTypeOf(cache.lookup('k')).toEqualTypeOf<Promise<Lookup<Post>>>();
    expectTypeOf(cache.invalidate(['k'])).toEqualTypeOf<Promise<boolean>>();
  });

  test('the value type is inferred through `loaded` and `notModified`, also where the upstream looks at what there was', () => {
    const posts = new TieredCache({
      ttl: 1,
      upstream: async (id, { stale }) => (stale === undefined ? loaded({ id }) : notModified()),
    });
    expectTypeOf(posts.get('k')).resolves.toEqualTypeOf<{ id: string }>();
    const counts = new TieredCache({ ttl: 1, upstream: (_id, { stale }) => (stale ? notModified() : { n: 5 }) });
    expectTypeOf(counts.get('k')).resolves.toEqualTypeOf<{ n: number }>();
    const own = new TieredCache<Post>({
      ttl: 1,
      upstream: async (_id, { stale }) => {
        expectTypeOf(stale?.value).toEqualTypeOf<Post | undefined>();
        return stale === undefined ? { title: '' } : notModified();
      },
    });
    expectTypeOf(own.get('k')).resolves.toEqualTypeOf<Post>();
    const anything = new TieredCache<unknown>({ ttl: 1, upstream: (id, { signal }) => [id, signal] });
    expectTypeOf(anything.get('k')).resolves.toEqualTypeOf<unknown>();
  });

  test('what HTTP has may be absent, unless that is an error', () => {
    const posts = new TieredCache<Post | undefined>({ ttl: 1, upstream: fetchUpstream() });
    expectTypeOf(posts.get('k')).resolves.toEqualTypeOf<Post | undefined>();
    void new TieredCache<Post>({ ttl: 1, upstream: fetchUpstream({ notFound: 'error' }) });
    // @ts-expect-error A 404 is `undefined`.
    void new TieredCache<Post>({ ttl: 1, upstream: fetchUpstream<Post>() });
    void new TieredCache<Post | undefined>({
      ttl: 1,
      upstream: fetchUpstream({ parse: async (response) => ({ title: await response.text() }) }),
    });
  });

  test('an error is narrowed by its code, and a misspelt code is refused', () => {
    const error: unknown = undefined;
    if (isSoloflightError(error, 'SOLOFLIGHT_FLIGHT_TIMEOUT')) {
      expectTypeOf(error.code).toEqualTypeOf<'SOLOFLIGHT_FLIGHT_TIMEOUT'>();
      expectTypeOf(error.maxDuration).toEqualTypeOf<number>();
    }
    if (isSoloflightError(error, 'SOLOFLIGHT_HTTP_STATUS'))
      expectTypeOf(error.code).toEqualTypeOf<'SOLOFLIGHT_HTTP_STATUS'>();
    if (isSoloflightError(error)) expectTypeOf(error).toEqualTypeOf<SoloflightError>();
    // @ts-expect-error No failure has this code.
    isSoloflightError(error, 'SOLOFLIGHT_TIMEOUT');
  });

  test('a duration may be read from text, and a cache be stood in for by its reads', () => {
    const environment: { readonly TTL?: string } = {};
    void new TieredCache<Post>({ ttl: parseDuration(environment.TTL ?? '10s') });
    const fake: ReadableCache<Post> = {
      get: async () => ({ title: '' }),
      getMany: async () => [],
      getIfCached: async () => undefined,
      peek: () => undefined,
      lookup: () => Promise.reject(new Error('not faked')),
      lookupMany: async () => [],
      refresh: async () => ({ title: '' }),
    };
    expectTypeOf(fake.get('k')).resolves.toEqualTypeOf<Post>();
    expectTypeOf<TieredCache<Post>>().toExtend<ReadableCache<Post>>();
  });

  test('a batch load that may lack keys makes values that may be undefined', () => {
    const byMap = async (keys: readonly string[]) => new Map(keys.map((key) => [key, { title: key }]));
    const cache = new TieredCache<Post | undefined>({ ttl: 1, loadMany: byMap });

    expectTypeOf(cache.get('k')).resolves.toEqualTypeOf<Post | undefined>();
    // @ts-expect-error A key may be missing, and `get` would resolve with undefined.
    void new TieredCache<Post>({ ttl: 1, loadMany: byMap });
    // @ts-expect-error So says an array.
    void new TieredCache<Post>({ ttl: 1, loadMany: () => [undefined] });
    void new TieredCache<Post>({ ttl: 1, loadMany: (keys) => keys.map((title) => ({ title })) });
  });

  test('a batch load may say of each key how long it lives, or why it failed, in an array and in a Map', () => {
    void new TieredCache<Post>({
      ttl: 1,
      loadMany: (keys) => keys.map((title) => (title === '' ? new Error('empty') : loaded({ title }, { ttl: 5 }))),
      batch: { wait: '5ms', max: 100 },
    });
    const map = new Map<string, Post | Loaded<Post> | Error>();
    const cache = new TieredCache<Post | undefined>({ ttl: 1, loadMany: async () => map, batch: { wait: undefined } });
    expectTypeOf(cache.get('k')).resolves.toEqualTypeOf<Post | undefined>();
  });

  test('the value type is inferred from a batch load by array', () => {
    const cache = new TieredCache({ ttl: 1, loadMany: async (keys) => keys.map((key) => key.length) });
    expectTypeOf(cache.get('k')).resolves.toEqualTypeOf<number>();
  });

  test('the value type is inferred from the upstream, plain, async or wrapped', () => {
    expectTypeOf(new TieredCache({ ttl: 1, upstream: () => 1 }).get('k')).resolves.toEqualTypeOf<number>();
    expectTypeOf(
      new TieredCache({ ttl: 1, upstream: async (): Promise<Post> => ({ title: '' }) }).get('k'),
    ).resolves.toEqualTypeOf<Post>();
    expectTypeOf(loaded({ title: '' })).toEqualTypeOf<Loaded<{ title: string }>>();
    expectTypeOf(notModified()).toEqualTypeOf<Loaded<never>>();
    expectTypeOf<Upstream<Post>>().returns.toEqualTypeOf<Post | Loaded<Post> | PromiseLike<Post | Loaded<Post>>>();
  });

  test('getOrLoad gives the narrower type of its own upstream', () => {
    const cache = new TieredCache<string | number>({ ttl: 1 });

    expectTypeOf(cache.getOrLoad('k', async (): Promise<string> => 'text')).resolves.toEqualTypeOf<string>();
  });

  test('listeners get the event they asked for', () => {
    new TieredCache<Post>({ ttl: 1 }).on('load-error', (event) => {
      expectTypeOf(event.error).toEqualTypeOf<unknown>();
      expectTypeOf(event.durationMs).toEqualTypeOf<number>();
    });
  });
});

describe('what is refused', () => {
  test('misuse that only types can see', () => {
    const cache = new TieredCache<Post>({ ttl: '10s' });
    const flights = new Singleflight();

    // @ts-expect-error a cache needs a ttl
    void new TieredCache<Post>({});
    // @ts-expect-error a duration has a unit
    void new TieredCache<Post>({ ttl: '10 seconds' });
    // @ts-expect-error values are of the type of the cache
    void cache.set('k', 'text');
    // @ts-expect-error an upstream of another type
    void cache.getOrLoad('k', () => 5);
    // @ts-expect-error keys of a cache are strings
    void cache.get(5);
    // @ts-expect-error work is a function
    void flights.execute('k', 5);
    // @ts-expect-error there is no such event
    cache.on('hits', () => {});
    // @ts-expect-error `store` can only be turned off
    loaded('v', { store: true });
    const texts = lruMemory<string>();
    // @ts-expect-error a memory tier of another type
    void new TieredCache<Post>({ ttl: 1, memory: texts });
    void new TieredCache<string>({ ttl: 1, memory: sieveMemory({ max: 10, ttl: '10s' }) });
    // @ts-expect-error a memory tier of another type
    void new TieredCache<Post>({ ttl: 1, memory: sieveMemory<string>() });
    const entry = {} as Entry<Post>;
    expectTypeOf(entry.freshUntil).toEqualTypeOf<number>();
    // @ts-expect-error entries are read-only
    entry.freshUntil = 0;
  });

  test('an adapter of three methods and a name is enough', () => {
    const tier: StorageTier = defineStorage({
      name: 'mine',
      get: () => undefined,
      set: () => {},
      delete: async () => true,
    });

    expectTypeOf(tier).toExtend<StorageTier>();
  });
});
