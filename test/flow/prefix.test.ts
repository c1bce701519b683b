import { describe, expect, test } from 'vitest';

import { decodeMessages, encodeMessages } from '../../src/backplane/message.js';
import {
  defineBackplane,
  defineStorage,
  lruMemory,
  mapStorage,
  noMemory,
  sieveMemory,
  TieredCache,
  type Backplane,
  type BackplaneListener,
  type CacheEvent,
  type StorageTier,
  type TieredCacheOptions,
} from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';
import { chaos, manualClock, type ManualClock } from '../../src/testing/index.js';
import { fc, runs } from '../support/property.ts';
import { settle, setupCache } from '../support/setup-cache.ts';
import { unversioned } from '../support/unversioned.ts';

/** A storage each of whose calls takes a few turns, so that calls of several processes overlap. */
function slow(tier: StorageTier): StorageTier {
  const methods = Object.entries(tier).map(([name, method]) => {
    if (typeof method !== 'function') return [name, method] as const;
    const call = method.bind(tier) as (...args: unknown[]) => unknown;
    return [name, async (...args: unknown[]) => (await settle(), call(...args))] as const;
  });
  return defineStorage(Object.fromEntries(methods) as unknown as StorageTier);
}

function withoutGetMany(tier: StorageTier): StorageTier {
  const rest: Record<string, unknown> = { ...tier };
  delete rest['getMany'];
  return defineStorage(rest as unknown as StorageTier);
}

const forgetting = (): StorageTier => defineStorage({ ...mapStorage(), forgets: true });

const ONE_BY_ONE = 'a slow storage that reads one key at a time';

const STORAGES: Readonly<Record<string, () => StorageTier>> = {
  'a map': () => mapStorage(),
  SQLite: () => sqliteStorage({ database: ':memory:' }),
  'a storage without versions': () => unversioned(),
  [ONE_BY_ONE]: () => slow(withoutGetMany(mapStorage())),
  'a storage that may lose what it holds': forgetting,
  'a storage that may lose what it holds and has no versions': () => defineStorage({ ...unversioned(), forgets: true }),
};

/** Caches of several processes, one after another or at once, over one source and one storage. */
function setup(storage: StorageTier, options: Partial<TieredCacheOptions<string>> = {}) {
  const clock = (options.clock as ManualClock | undefined) ?? manualClock();
  const source = { version: 1, loads: [] as string[] };
  const open = (own: Partial<TieredCacheOptions<string>> = {}): TieredCache<string> =>
    new TieredCache<string>({
      ttl: '1h',
      writeBack: 'await',
      name: 'n',
      upstream: async (key) => {
        source.loads.push(key);
        return `${key} ${source.version}`;
      },
      ...options,
      ...own,
      clock,
      storage,
    });
  return { clock, source, open };
}

describe.each(Object.entries(STORAGES))('invalidatePrefix over %s', (name, open_) => {
  test('makes the keys under the prefix unusable at once, and leaves the others', async () => {
    const { source, open } = setup(open_());
    const cache = open();
    await cache.getMany(['user:1', 'user:2', 'users', 'post:1']);
    source.version = 2;

    const done = cache.invalidatePrefix('user:');

    expect([cache.peek('user:1'), cache.peek('users')]).toEqual([undefined, 'users 1']);
    expect(await cache.getMany(['user:1', 'user:2', 'users', 'post:1'])).toEqual([
      'user:1 2',
      'user:2 2',
      'users 1',
      'post:1 1',
    ]);
    await done;
    await cache.close();
  });

  test('holds in a process that starts afterwards', async () => {
    const { clock, source, open } = setup(open_());
    const before = open();
    await before.getMany(['user:1', 'post:1']);
    source.version = 2;
    clock.advance(5_000);
    await before.invalidatePrefix('user:');
    await before.idle();

    // Beyond what clocks of processes may differ.
    clock.advance(5_000);
    const after = open();
    const isLost = name.endsWith('has no versions') && name.includes('lose');
    expect(await after.get('user:1')).toBe('user:1 2');
    // Where markers are lost and can't be compared, all entries of the namespace are loaded once more.
    expect(await after.get('post:1')).toBe(isLost ? 'post:1 2' : 'post:1 1');
    source.version = 3;
    clock.advance(5_000);
    expect(await open({ memory: false }).get('user:1')).toBe('user:1 2');
  });

  test('of two prefixes, both hold, whichever process marks them at the same time', async () => {
    const { clock, source, open } = setup(open_(), { memory: false });
    const [one, other] = [open(), open()];
    await one.getMany(['a:1', 'b:1', 'c:1']);
    source.version = 2;
    clock.advance(5_000);

    await Promise.all([one.invalidatePrefix('a:'), one.invalidatePrefix('b:')]);
    await other.invalidatePrefix('c:');

    expect(await open().getMany(['a:1', 'b:1', 'c:1'])).toEqual(['a:1 2', 'b:1 2', 'c:1 2']);
  });

  test('stays in its namespace', async () => {
    const { source, open } = setup(open_());
    const cache = open();
    const [shop, blog] = [cache.namespace('shop'), cache.namespace('blog')];
    await Promise.all([cache.get('k'), shop.get('k'), blog.get('k')]);
    source.version = 2;

    await shop.invalidatePrefix('k');

    expect(await Promise.all([cache.get('k'), shop.get('k'), blog.get('k')])).toEqual(['k 1', 'k 2', 'k 1']);
  });
});

describe('several processes that mark prefixes and clear at the same time', () => {
  const overlapping = { 'a map': () => slow(mapStorage()), 'one that may lose markers': () => slow(forgetting()) };
  describe.each(Object.entries(overlapping))('over %s, asynchronous', (_name, open_) => {
    test('undo none of it', async () => {
      const { clock, source, open } = setup(open_(), { memory: false });
      const processes = Array.from({ length: 5 }, () => open());
      const keys = processes.map((_process, index) => `${index}:k`);
      await processes[0]!.getMany([...keys, 'left']);
      source.version = 2;
      clock.advance(5_000);

      await Promise.all(processes.map((cache, index) => cache.invalidatePrefix(`${index}:`)));

      expect(await open().getMany([...keys, 'left'])).toEqual([...keys.map((key) => `${key} 2`), 'left 1']);
      source.version = 3;
      clock.advance(5_000);
      await Promise.all([processes[0]!.clear(), processes[1]!.invalidatePrefix('1:')]);
      expect(await open().getMany([...keys, 'left'])).toEqual([...keys, 'left'].map((key) => `${key} 3`));
    });
  });

  test('a clear that reaches storage late takes no prefix back that was marked meanwhile', async () => {
    const shared = mapStorage();
    const flaky = chaos(shared);
    const { clock, source, open } = setup(shared, { memory: false });
    const [away, there] = [
      new TieredCache<string>({ ttl: '1h', name: 'n', clock, storage: flaky, upstream: () => '' }),
      open(),
    ];
    flaky.failAlways('all');
    void away.clear();
    await settle();
    clock.advance(100);
    await there.get('a:1');
    source.version = 2;
    clock.advance(5_000);
    await there.invalidatePrefix('a:');

    flaky.restore();
    clock.advance(2_000);
    await settle();

    expect(away.getStats().pendingInvalidations).toBe(0);
    expect(await open().get('a:1')).toBe('a:1 2');
  });
});

describe('a load under way', () => {
  test('of a key under the prefix answers who asked before, and is kept by no tier', async () => {
    const storage = mapStorage();
    const { cache, upstream, clock } = setupCache({ storage, writeBack: 'await' });
    const asked = cache.get('user:1');
    const other = cache.get('post:1');
    await settle();

    const done = cache.invalidatePrefix('user:');
    const later = cache.get('user:1');
    await settle();
    expect(upstream.calls.map(({ key }) => key)).toEqual(['user:1', 'post:1', 'user:1']);
    upstream.calls[0]!.resolve('old');
    upstream.calls[1]!.resolve('post');
    await done;

    expect(await asked).toBe('old');
    expect(await other).toBe('post');
    expect(cache.peek('user:1')).toBeUndefined();
    expect(cache.peek('post:1')).toBe('post');
    upstream.calls[2]!.resolve('new');
    expect(await later).toBe('new');
    clock.advance(1);
    await cache.idle();
    expect((await storage.get('user:1'))?.value).toBe('new');
  });

  test.each(Object.entries(STORAGES))(
    'in another process is read by nobody afterwards, over %s',
    async (_name, open_) => {
      const clock = manualClock();
      const storage = open_();
      const loading = setupCache({ clock, storage, writeBack: 'await', name: 'n', leaseWait: 0 });
      const asked = loading.cache.get('user:1');
      for (let round = 0; round < 20 && loading.upstream.calls.length === 0; round += 1) await settle();
      expect(loading.upstream.calls).toHaveLength(1);
      clock.advance(5_000);
      const { source, open } = setup(storage, { clock });
      source.version = 2;

      await open().invalidatePrefix('user:');
      loading.upstream.calls[0]!.resolve('old');
      expect(await asked).toBe('old');
      await loading.cache.idle();

      expect(await open().get('user:1')).toBe('user:1 2');
      await loading.cache.close();
    },
  );

  test('in another process whose clock runs ahead is read by nobody, where tokens tell the order', async () => {
    const storage = forgetting();
    const ahead = setupCache({ storage, writeBack: 'await', name: 'n', leaseWait: 0 });
    ahead.clock.advance(60_000);
    const warm = ahead.cache.get('post:1');
    await settle();
    ahead.upstream.calls[0]!.resolve('post');
    await warm;
    const asked = ahead.cache.get('user:1');
    await settle();
    const { source, open } = setup(storage);
    source.version = 2;

    await open().invalidatePrefix('user:');
    ahead.upstream.calls[1]!.resolve('old');
    await asked;
    await ahead.cache.idle();

    expect(await open().get('user:1')).toBe('user:1 2');
  });
});

describe('a storage that is away', () => {
  test.each([
    ['a map', () => mapStorage()],
    ['a storage that may lose what it holds', forgetting],
  ] as const)(
    'is told later, and serves nothing under the prefixes meanwhile or afterwards: %s',
    async (_name, open_) => {
      const shared = open_();
      const flaky = chaos(shared);
      const { clock, source, open } = setup(shared, { memory: false });
      const cache = new TieredCache<string>({
        ...{ ttl: '1h', name: 'n', clock, storage: flaky, memory: false, writeBack: 'await' },
        upstream: (key) => `${key} ${source.version}`,
      });
      const prefixes = Array.from({ length: 100 }, (_, index) => `${index}:`);
      const keys = prefixes.map((prefix) => `${prefix}k`);
      await cache.getMany([...keys, 'left']);
      source.version = 2;
      clock.advance(5_000);
      flaky.failAlways('all');
      await Promise.all(prefixes.map((prefix) => cache.invalidatePrefix(prefix)));
      expect(cache.getStats().pendingInvalidations).toBe(1);

      flaky.restore();
      flaky.failAlways('set');
      flaky.failAlways('setIfVersion');
      flaky.failAlways('setIfNewer');
      clock.advance(60_000);
      await settle();
      expect(await cache.get(keys[0]!)).toBe('0:k 2');
      expect(await cache.get(keys[99]!)).toBe('99:k 2');
      flaky.restore();
      clock.advance(60_000);
      await settle();
      await settle();

      expect(cache.getStats().pendingInvalidations).toBe(0);
      expect(await open().getMany(keys)).toEqual(keys.map((key) => `${key} 2`));
    },
  );

  test('that has lost the marker brings nothing back', async () => {
    const storage = forgetting();
    const { clock, source, open } = setup(storage, { memory: false });
    await open().getMany(['user:1', 'post:1']);
    source.version = 2;
    clock.advance(5_000);
    await open().invalidatePrefix('user:');

    await storage.delete('@1:n!');

    expect(await open().getMany(['user:1', 'post:1'])).toEqual(['user:1 2', 'post:1 2']);
  });
});

test('more prefixes than a marker names make more keys miss, never fewer', async () => {
  const storage = mapStorage();
  const { clock, source, open } = setup(storage, { memory: false });
  const cache = open();
  const keys = Array.from({ length: 300 }, (_, index) => `user:${index}:name`);
  await cache.getMany([...keys, 'post:1']);
  source.version = 2;
  clock.advance(5_000);
  for (let index = 0; index < 300; index += 1) {
    clock.advance(1);
    await cache.invalidatePrefix(`user:${index}:`);
  }

  expect(((await storage.get('@1:n!'))?.tags ?? []).length).toBeLessThanOrEqual(64);
  expect(await open().getMany([...keys, 'post:1'])).toEqual([...keys.map((key) => `${key} 2`), 'post:1 1']);
});

test.each(Object.entries(STORAGES))(
  'no random order of calls brings back what was invalidated, over %s',
  async (name, open_) => {
    expect.hasAssertions();
    const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 });
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('get' as const), at: word }) },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('prefix' as const),
          at: fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 2 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constantFrom('clear' as const, 'restart' as const, 'evict' as const),
          at: fc.constant(''),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), step), { maxLength: 40 }), async (steps) => {
        const storage = open_();
        const { clock, source, open } = setup(storage, { memory: false });
        const caches = [open(), open(), open()];
        const broughtBack: string[] = [];
        const least = new Map<string, number>();
        for (const [who, { kind, at }] of steps) {
          clock.advance(who === 0 ? 0 : 700 * who);
          if (kind === 'get') {
            const version = Number((await caches[who]!.get(at)).split(' ')[1]);
            for (const [prefix, needed] of least)
              if (at.startsWith(prefix) && version < needed) broughtBack.push(`${at} ${version}`);
          } else if (kind === 'restart') caches[who] = open();
          else if (kind === 'evict') {
            if (storage.forgets === true) await storage.delete('@1:n!');
          } else {
            source.version += 1;
            await (kind === 'clear' ? caches[who]!.clear() : caches[who]!.invalidatePrefix(at));
            least.set(kind === 'clear' ? '' : at, source.version);
            // Other processes read a marker that costs a command of its own once a second.
            if (name === ONE_BY_ONE) clock.advance(1_000);
          }
        }
        expect(broughtBack).toEqual([]);
      }),
      { numRuns: runs(100) },
    );
  },
);

describe('invalidatePrefix of memory', () => {
  test.each([
    ['lruMemory', () => lruMemory<string>()],
    ['sieveMemory', () => sieveMemory<string>()],
    ['none', () => noMemory() as never],
    ['one that knows no prefixes', () => ({ ...plainMemory(new Map<string, never>()) })],
  ] as const)('%s: nothing under the prefix is left', async (_name, memory) => {
    const { source, open } = setup(mapStorage(), { memory: memory() });
    const cache = open();
    await cache.getMany(['a1', 'a2', 'b']);
    source.version = 2;

    await cache.invalidatePrefix('a');

    expect([cache.peek('a1'), cache.peek('a2')]).toEqual([undefined, undefined]);
    expect(await cache.getMany(['a1', 'b'])).toEqual(['a1 2', 'b 1']);
  });

  test('alone needs no storage', async () => {
    const { cache, upstream } = setupCache();
    await Promise.all([cache.set('a1', 'x'), cache.set('b1', 'y')]);

    await cache.invalidatePrefix('a');

    expect([cache.peek('a1'), cache.peek('b1')]).toEqual([undefined, 'y']);
    expect(upstream.calls).toEqual([]);
  });

  test('lets a failed key be tried again, and no other', async () => {
    const { cache, upstream } = setupCache({ errorTtl: '1h' });
    for (const key of ['a1', 'b1']) {
      const failing = cache.get(key);
      await settle();
      upstream.calls.at(-1)!.reject(new Error('down'));
      await expect(failing).rejects.toThrow('down');
    }

    await cache.invalidatePrefix('a');

    const again = cache.get('a1');
    await expect(cache.get('b1')).rejects.toThrow('down');
    await settle();
    upstream.calls.at(-1)!.resolve('up');
    expect(await again).toBe('up');
    expect(upstream.calls).toHaveLength(3);
  });

  test('is told as an event, with the prefix', async () => {
    const { cache } = setupCache();
    const events: CacheEvent[] = [];
    cache.on('clear', (event) => events.push(event));

    await cache.invalidatePrefix('a');
    await cache.invalidatePrefix('');

    expect(events).toEqual([{ type: 'clear', prefix: 'a' }, { type: 'clear' }]);
  });

  test('refuses what is no text, and a closed cache', async () => {
    const { cache } = setupCache();

    await expect(cache.invalidatePrefix(7 as never)).rejects.toThrow('Expected `prefix` to be a string');
    await cache.close();
    await expect(cache.invalidatePrefix('a')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
  });
});

function plainMemory(held: Map<string, never>) {
  return {
    get: (key: string) => held.get(key),
    peek: (key: string) => held.get(key),
    set: (key: string, entry: unknown) => void held.set(key, entry as never),
    delete: (key: string) => held.delete(key),
    clear: () => held.clear(),
    get size() {
      return held.size;
    },
  };
}

describe('other processes that a backplane tells', () => {
  /** A backplane in one process, as text, as messages would travel. */
  function wire(): Backplane {
    const listeners = new Set<BackplaneListener>();
    return defineBackplane({
      name: 'wire',
      publish: (messages) => {
        for (const message of decodeMessages(encodeMessages(messages)))
          for (const each of listeners) each.receive(message);
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    });
  }

  test('drop what memory holds under the prefix and nothing else, and keep no load of theirs that was under way', async () => {
    const backplane = wire();
    const storage = mapStorage();
    const { clock, source, open } = setup(storage, { backplane });
    const here = open();
    const there = setupCache({ clock, storage, backplane, name: 'n', leaseWait: 0 });
    await here.getMany(['user:1', 'post:1']);
    expect(await there.cache.getMany(['user:1', 'post:1'])).toEqual(['user:1 1', 'post:1 1']);
    const asked = there.cache.get('user:2');
    await settle();
    source.version = 2;
    clock.advance(100);

    await here.invalidatePrefix('user:');
    await settle();

    expect(there.cache.peek('user:1')).toBeUndefined();
    expect(there.cache.peek('post:1')).toBe('post:1 1');
    there.upstream.calls[0]!.resolve('old');
    expect(await asked).toBe('old');
    expect(there.cache.peek('user:2')).toBeUndefined();
    await there.cache.idle();
    await here.close();
  });
});
