import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, TieredCache, type Entry, type StorageAdapter } from '../../src/index.js';
import { chaos } from '../../src/testing/index.js';
import { namespaced } from '../../src/testing/namespaced.js';
import { settle, setupCache } from '../support/setup-cache.js';

const bare = (): StorageAdapter => {
  const entries = new Map<string, Entry>();
  return {
    name: 'bare',
    get: (key) => entries.get(key),
    set: (key, entry) => void entries.set(key, entry),
    delete: (key) => entries.delete(key),
  };
};

describe('an adapter passed as `storage`', () => {
  test.each([[bare()], [new Map()], [{}], [null], ['redis'], [[bare()]]])(
    'as it is, %s, is refused with the cure',
    (it) => {
      expect(() => new TieredCache({ ttl: '1s', storage: it as never })).toThrow(
        /^Expected `storage` to be a storage tier or an array of them\. An adapter becomes one by `defineStorage\(adapter\)`/,
      );
    },
  );

  test('is used once it is defined, with the methods that it has and no others', async () => {
    const adapter = bare();
    const storage = defineStorage(adapter);
    const { cache, upstream } = setupCache({ storage, memory: false });

    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('v');
    await read;
    await cache.idle();

    expect(await adapter.get('k')).toMatchObject({ value: 'v' });
    expect(Object.keys(storage).filter((name) => !name.startsWith('soloflight'))).toEqual([
      'name',
      'get',
      'set',
      'delete',
    ]);
  });

  test('may be an instance of a class with private fields', async () => {
    class Rows implements StorageAdapter {
      readonly name = 'rows';
      readonly #rows = new Map<string, Entry>();
      get(key: string): Entry | undefined {
        return this.#rows.get(key);
      }
      set(key: string, entry: Entry): void {
        this.#rows.set(key, entry);
      }
      delete(key: string): boolean {
        return this.#rows.delete(key);
      }
    }
    const { cache } = setupCache({ storage: defineStorage(new Rows()), memory: false });

    await cache.set('k', 'v');

    expect(await cache.getIfCached('k')).toBe('v');
  });
});

describe('what an adapter tells by itself', () => {
  const wraps: Readonly<Record<string, (adapter: StorageAdapter) => StorageAdapter>> = {
    defineStorage,
    namespaced: (adapter) => namespaced(adapter, ['n']),
    chaos,
  };

  test.each(Object.entries(wraps))('reaches whoever listens through %s, until it stops', (_, wrap) => {
    const listeners = { onReady: new Set<() => void>(), onLoss: new Set<() => void>() };
    const listen = (listening: Set<() => void>) => (listener: () => void) => {
      listening.add(listener);
      return () => void listening.delete(listener);
    };
    const tier = wrap({ ...bare(), onReady: listen(listeners.onReady), onLoss: listen(listeners.onLoss) });

    for (const method of ['onReady', 'onLoss'] as const) {
      let heard = 0;
      const stop = tier[method]!(() => (heard += 1));
      for (const tell of listeners[method]) tell();
      expect(heard).toBe(1);
      stop();
      expect(listeners[method].size).toBe(0);
      expect(wrap(bare())[method]).toBeUndefined();
    }
  });
});

describe('a copy of a tier with other methods', () => {
  test('is called by those: spreading, spying and proxies work', async () => {
    const asked: string[] = [];
    const inner = mapStorage();
    const storage = {
      ...inner,
      get: (key: string) => {
        asked.push(key);
        return inner.get(key);
      },
    };
    const { cache } = setupCache({ storage, memory: false });

    await cache.getIfCached('k');

    expect(asked).toContain('k');
  });
});

describe('defineStorage', () => {
  test.each([
    [undefined, {}, 'Expected `adapter` to be a storage adapter (missing: get, set, delete)'],
    [{ ...bare(), set: undefined }, {}, 'Expected `adapter` to be a storage adapter (missing: set)'],
    [{ ...bare(), name: '' }, {}, 'Expected `adapter` to be a storage adapter (missing: name)'],
    [bare(), { ttl: 0 }, 'Expected `ttl` to be a duration > 0'],
    [bare(), { readTimeout: '5' }, 'Expected `readTimeout` to be a duration > 0'],
    [bare(), { writeTimeout: -1 }, 'Expected `writeTimeout` to be a duration > 0'],
    [bare(), { timeout: 5 }, 'timeout'],
  ])('refuses %o with %o', (adapter, options, message) => {
    const define = (): unknown => defineStorage(adapter as never, options as never);

    expect(define).toThrow(TypeError);
    expect(define).toThrow(message);
  });

  test('deadlines of a tier come before those of the cache', async () => {
    const never = defineStorage({ ...bare(), get: () => new Promise(() => {}) }, { readTimeout: 50 });
    const { cache, clock, upstream } = setupCache({ storage: never, readTimeout: '1h' });
    const errors: unknown[] = [];
    cache.on('tier-error', ({ error }) => errors.push(error));
    const read = cache.get('k');

    await clock.advanceAsync(50);
    upstream.calls[0]!.resolve('v');

    expect(await read).toBe('v');
    expect(errors[0]).toMatchObject({ code: 'SOLOFLIGHT_TIER_TIMEOUT', deadline: 50 });
  });
});
