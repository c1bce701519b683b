import { describe, expectTypeOf, test } from 'vitest';

import { loaded, TieredCache, type LoadContext, type Lookup, type ReadOptions, type Wrapped } from '../../src/index.js';

interface Post {
  readonly id: number;
  readonly title: string;
}

const posts = new TieredCache<Post>({ ttl: '10s' });
const anything = new TieredCache<unknown>({ ttl: '10s' });

describe('a wrapped function', () => {
  test('takes what the function takes and promises what it gives, plain or async', () => {
    const plain = posts.wrap((id: number, draft?: boolean) => ({ id, title: String(draft) }), { name: 'plain' });
    const later = posts.wrap(async function find(id: number): Promise<Post> {
      return { id, title: '' };
    });

    expectTypeOf(plain).parameters.toEqualTypeOf<[id: number, draft?: boolean | undefined]>();
    expectTypeOf(plain(1)).toEqualTypeOf<Promise<{ id: number; title: string }>>();
    expectTypeOf(later).parameters.toEqualTypeOf<[id: number]>();
    expectTypeOf(later(1)).toEqualTypeOf<Promise<Post>>();
    expectTypeOf(later).toEqualTypeOf<Wrapped<[id: number], Post>>();
  });

  test('has the same parameters in all it can do beside', () => {
    const find = posts.wrap(async (id: number, ..._tags: string[]): Promise<Post> => ({ id, title: '' }), {
      name: 'find',
    });

    expectTypeOf<(typeof find)['lookup']>().parameters.toEqualTypeOf<[id: number, ...tags: string[]]>();
    expectTypeOf<(typeof find)['refresh']>().parameters.toEqualTypeOf<[id: number, ...tags: string[]]>();
    expectTypeOf<(typeof find)['invalidate']>().parameters.toEqualTypeOf<[id: number, ...tags: string[]]>();
    expectTypeOf<(typeof find)['keyFor']>().parameters.toEqualTypeOf<[id: number, ...tags: string[]]>();
    expectTypeOf(find.lookup(1)).toEqualTypeOf<Promise<Lookup<Post>>>();
    expectTypeOf(find.refresh(1)).toEqualTypeOf<Promise<Post>>();
    expectTypeOf(find.invalidate(1, 'a')).toEqualTypeOf<Promise<void>>();
    expectTypeOf(find.keyFor(1)).toEqualTypeOf<string>();
  });

  test('tells its options what its arguments and results are', () => {
    posts.wrap(async (id: number, locale: 'de' | 'en'): Promise<Post> => ({ id, title: locale }), {
      name: 'find',
      key: (id, locale) => {
        expectTypeOf(id).toEqualTypeOf<number>();
        expectTypeOf(locale).toEqualTypeOf<'de' | 'en'>();
        return `${id}:${locale}`;
      },
      tags: (id, locale) => {
        expectTypeOf([id, locale] as const).toEqualTypeOf<readonly [number, 'de' | 'en']>();
        return [`post:${id}`];
      },
      ttl: (post, key) => {
        expectTypeOf(post).toEqualTypeOf<Post>();
        expectTypeOf(key).toEqualTypeOf<string>();
        return '1m';
      },
    });
    posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find', tags: ['posts'] });
  });

  test('without parameters takes none', () => {
    const home = anything.wrap(async () => 'home', { name: 'home' });

    expectTypeOf(home).parameters.toEqualTypeOf<[]>();
    expectTypeOf(home()).resolves.toEqualTypeOf<string>();
  });

  test('narrower than the cache stays narrow', () => {
    const mixed = new TieredCache<string | number>({ ttl: 1 });
    const length = mixed.wrap((text: string) => text.length, { name: 'length' });

    expectTypeOf(length('x')).resolves.toEqualTypeOf<number>();
  });

  test('can be a method, also as a field beside it', () => {
    class Posts {
      readonly find = posts.wrap((id: number) => this.load(id), { name: 'find' });

      async load(id: number): Promise<Post> {
        return { id, title: '' };
      }
    }

    expectTypeOf(new Posts().find(1)).resolves.toEqualTypeOf<Post>();
    expectTypeOf<Posts['find']>().toEqualTypeOf<Wrapped<[id: number], Post>>();
  });

  test('may be absent where the cache holds that', () => {
    const maybe = new TieredCache<Post | undefined>({ ttl: 1 });

    expectTypeOf(
      maybe.wrap(async (_id: number): Promise<Post | undefined> => undefined, { name: 'a' })(1),
    ).resolves.toEqualTypeOf<Post | undefined>();
  });

  test('keeps type parameters of its own', () => {
    const same = anything.wrap(async <T>(value: T): Promise<T> => value, { name: 'same' });

    expectTypeOf(same({ n: 1 })).resolves.toEqualTypeOf<{ n: number }>();
    expectTypeOf(same(String(5))).resolves.toEqualTypeOf<string>();
    expectTypeOf(same.keyFor('x')).toEqualTypeOf<string>();
  });

  test('is given the load after its own arguments, if it asks for it', () => {
    const find = posts.wrap(
      async (id: number, { signal, stale }: LoadContext<Post>): Promise<Post> =>
        signal.aborted || stale === undefined ? { id, title: '' } : stale.value,
      { name: 'find', withLoad: true },
    );

    expectTypeOf(find).toEqualTypeOf<Wrapped<[id: number], Post>>();
    // @ts-expect-error without asking for it, the load would be an argument of every call
    void posts.wrap(async (id: number, _load: LoadContext<Post>): Promise<Post> => ({ id, title: '' }), { name: 'f' })(
      1,
    );
  });

  test('sets, expires and reads with options by the same arguments', () => {
    const find = posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find' });

    expectTypeOf(find.set([1], { id: 1, title: '' })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(find.expire(1)).toEqualTypeOf<Promise<void>>();
    expectTypeOf(find.with({ signal: new AbortController().signal })(1)).toEqualTypeOf<Promise<Post>>();
    // @ts-expect-error not a result
    void find.set([1], 'text');
    // @ts-expect-error not its arguments
    void find.with({ maxStale: 0 })('1');
  });
});

describe('a wrapped function refuses', () => {
  test('what only types can see', () => {
    const find = posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find' });

    // @ts-expect-error an argument of another type makes another key
    void find('1');
    // @ts-expect-error a forgotten argument
    void find();
    // @ts-expect-error one argument too many would go into the key and not into the function
    void find(1, 'de');
    // @ts-expect-error invalidation is by the same arguments
    void find.invalidate('1');
    // @ts-expect-error a story is asked for by the same arguments; read options have no place among them
    void find.lookup(1, { maxStale: 0 });
    // @ts-expect-error results are of the type of the cache
    posts.wrap(async (id: number) => id, { name: 'id' });
    // @ts-expect-error nothing is no value of this cache
    posts.wrap(async (id: number): Promise<Post | undefined> => ({ id, title: '' }), { name: 'maybe' });
    // @ts-expect-error only functions can be wrapped
    void (() => posts.wrap(5, { name: 'five' }));
    // @ts-expect-error a key is a string
    posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find', key: (id: number) => id });
    // @ts-expect-error tags are a list
    posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find', tags: () => 'posts' });
    // @ts-expect-error a key is made of the function's own arguments
    posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find', key: (id: string) => id });
    // @ts-expect-error a duration has a unit
    void (() => posts.wrap(async (id: number): Promise<Post> => ({ id, title: '' }), { name: 'find', ttl: '10' }));
    expectTypeOf(find).toBeCallableWith(1);
  });
});

describe('what an upstream may say', () => {
  test('is typed by the value it says it of', () => {
    const cache = new TieredCache<Post>({
      ttl: '10s',
      upstream: async (key, load) => {
        expectTypeOf(key).toEqualTypeOf<string>();
        expectTypeOf(load).toEqualTypeOf<LoadContext<Post>>();
        expectTypeOf(load.stale?.value).toEqualTypeOf<Post | undefined>();
        return loaded<Post>({ id: 1, title: '' }, { ttl: '1m', tags: ['post'], meta: { etag: '"1"' } });
      },
    });

    expectTypeOf(cache.get('k')).toEqualTypeOf<Promise<Post>>();
    // @ts-expect-error a loaded value of another type than the cache's
    void new TieredCache<Post>({ ttl: 1, upstream: () => loaded('text') });
    // @ts-expect-error the ttl of one value is known, so it is no function
    loaded(1, { ttl: () => 1 });
    // @ts-expect-error tags are a list
    loaded(1, { tags: 'post' });
  });
});

describe('getOrLoad', () => {
  test('gives what its own upstream loads, wrapped by `loaded` or not', () => {
    expectTypeOf(posts.getOrLoad('k', () => loaded<Post>({ id: 1, title: '' }))).resolves.toEqualTypeOf<Post>();
    expectTypeOf(anything.getOrLoad('k', async () => 5)).resolves.toEqualTypeOf<number>();
  });

  test('takes the options of a read and of a lifetime, and no others', () => {
    void posts.getOrLoad('k', async (): Promise<Post> => ({ id: 1, title: '' }), {
      signal: new AbortController().signal,
      maxStale: '1s',
      ttl: (post) => post.id,
      tags: ['posts'],
    });
    expectTypeOf<ReadOptions>().toExtend<NonNullable<Parameters<typeof posts.getOrLoad>[2]>>();

    void posts.getOrLoad('k', async (): Promise<Post> => ({ id: 1, title: '' }), {
      // @ts-expect-error touching does not extend a lifetime: there is no sliding ttl
      sliding: true,
    });
  });
});
