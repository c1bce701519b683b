import { describe, expect, test } from 'vitest';

import {
  defineBackplane,
  defineStorage,
  mapStorage,
  TieredCache,
  type TieredCacheOptions,
  type StorageAdapter,
  type StorageTier,
} from '../../src/index.js';
import { manualClock, scriptedUpstream } from '../../src/testing/index.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';
import { settle, setupCache } from '../support/setup-cache.ts';
import { wire } from '../support/wire.ts';

/** Two caches that stand for two processes, over one storage and one channel. */
function setup(options: Partial<Omit<TieredCacheOptions<string>, 'clock'>> = {}) {
  const clock = manualClock({ random: () => 0.999 });
  const channel = wire();
  const storage = mapStorage();
  const start = () => setupCache({ clock, storage, backplane: channel.plug(), ...options });
  const [here, there] = [start(), start()];
  return { clock, channel, storage, here, there };
}

type Parts = ReturnType<typeof setup>;

/** Lets `cache` read `key`, and the upstream answer `value` if it is asked. */
async function read({ cache, upstream }: Parts['here'], key: string, value: string): Promise<string> {
  const reading = cache.get(key);
  await settle();
  for (const call of upstream.calls) if (!call.settled) call.resolve(value);
  const answer = await reading;
  await cache.idle();
  return answer;
}

describe('a key that two processes have in memory', () => {
  test.each([
    ['invalidate', (cache: TieredCache<string>) => cache.invalidate('k')],
    ['set', (cache: TieredCache<string>) => cache.set('k', 'new')],
    ['invalidateTags', (cache: TieredCache<string>) => cache.invalidateTags('t')],
    ['clear', (cache: TieredCache<string>) => cache.clear()],
  ])('%s in one is seen by the next read in the other', async (_, change) => {
    const { clock, here, there } = setup({ tags: ['t'] });
    await read(here, 'k', 'old');
    expect(await read(there, 'k', 'unused')).toBe('old');
    clock.advance(10);

    await change(here.cache);

    expect(there.cache.peek('k')).toBeUndefined();
    clock.advance(2_000);
    expect(await read(there, 'k', 'new')).toBe('new');
  });

  test('expire in one makes it stale in the other, as a fallback', async () => {
    const { here, there } = setup();
    await read(here, 'k', 'old');
    await read(there, 'k', 'unused');

    await here.cache.expire('k');

    expect((await there.cache.lookup('k')).status).toBe('stale');
    await settle();
    there.upstream.calls[0]!.resolve('new');
    await there.cache.idle();
    expect(await there.cache.get('k')).toBe('new');
  });

  test('a load under way in the other does not bring the old value back', async () => {
    const { here, there } = setup({ storage: [] });
    const loading = there.cache.get('k');
    await settle();

    await here.cache.invalidate('k');
    there.upstream.calls[0]!.resolve('old');

    expect(await loading).toBe('old');
    expect(there.cache.peek('k')).toBeUndefined();
  });

  test('what changes in a namespace concerns that namespace alone', async () => {
    const { here, there } = setup({ storage: [] });
    const inner = there.cache.namespace('n');
    await there.cache.set('k', 'outer');
    await inner.set('k', 'inner');
    await there.cache.namespace('other').set('k', 'other');

    await here.cache.namespace('n').invalidate('k');

    expect(inner.peek('k')).toBeUndefined();
    expect(there.cache.peek('k')).toBe('outer');
    expect(there.cache.namespace('other').peek('k')).toBe('other');
    await here.cache.namespace('other').clear();
    expect(there.cache.namespace('other').peek('k')).toBeUndefined();
    expect(there.cache.peek('k')).toBe('outer');
  });

  test('caches of different names leave each other alone', async () => {
    const channel = wire();
    const clock = manualClock();
    const [posts, users] = ['posts', 'users'].map((name) => setupCache({ clock, name, backplane: channel.plug() }));
    await posts!.cache.set('k', 'post');
    await users!.cache.set('k', 'user');
    await posts!.cache.clear();

    expect(users!.cache.peek('k')).toBe('user');
  });
});

describe('a backplane', () => {
  test('hears nothing of loads, and never of values', async () => {
    const { channel, here } = setup();
    await read(here, 'k', 'loaded');
    expect(channel.sent).toEqual([]);
    await here.cache.set('k', 'SECRET');
    expect(JSON.stringify(channel.sent)).not.toContain('SECRET');
    expect(channel.sent).toMatchObject([{ kind: 'set', keys: ['k'], space: [], sequence: 1 }]);
  });

  test('is told when storage has it, not before', async () => {
    const channel = wire();
    const storage = mapStorage();
    let release!: () => void;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = defineStorage({ ...bound(storage), delete: (key: string) => held.then(() => storage.delete(key)) });
    const { cache } = setupCache({ storage: slow, backplane: channel.plug() });

    const invalidating = cache.invalidate('k');
    await settle();
    expect(channel.sent).toEqual([]);
    release();
    await invalidating;

    expect(channel.sent).toMatchObject([{ kind: 'invalidate', keys: ['k'] }]);
  });

  test('takes 10,000 invalidations of one turn in a few messages', async () => {
    const { channel, here, there } = setup({ storage: [] });
    await read(there, 'k-9999', 'value');

    await Promise.all(Array.from({ length: 10_000 }, (_, number) => here.cache.invalidate(`k-${number}`)));

    expect(channel.publications()).toBe(1);
    expect(channel.sent.length).toBe(10);
    expect(channel.sent.flatMap(({ keys }) => keys)).toHaveLength(10_000);
    expect(there.cache.peek('k-9999')).toBeUndefined();
  });

  test('is not answered: what comes from it is neither stored nor sent again', async () => {
    const { channel, storage, here, there } = setup();
    await read(here, 'k', 'old');
    await read(there, 'k', 'unused');
    channel.open = false;
    await here.cache.set('k', 'new');
    channel.deliver(...channel.sent);
    await settle();

    expect(channel.sent.length).toBe(1);
    expect((await storage.get('k'))?.value).toBe('new');
    expect(here.cache.peek('k')).toBe('new');
  });

  test('that repeats messages, or gives them out of order, does no harm', async () => {
    const { clock, channel, here, there } = setup({ storage: [] });
    channel.open = false;
    for (const key of ['a', 'b', 'c']) await here.cache.invalidate(key);
    const [first, second, third] = channel.sent;
    await read(there, 'other', 'value');
    channel.deliver(third!, first!, second!);
    await read(there, 'a', 'new');
    channel.deliver(first!, second!, third!, first!);
    clock.advance(500);

    expect(there.cache.peek('a')).toBe('new');
    expect((await there.cache.lookup('other')).status).toBe('hit');
  });
});

test('a message that the first one heard of its sender has overtaken is not lost', async () => {
  const { channel, here, there } = setup({ storage: [], ttl: '1h' });
  await read(there, 'k', 'old');
  channel.open = false;
  for (const key of ['k', 'other']) await here.cache.invalidate(key);
  const [first, second] = channel.sent;

  channel.deliver(second!, first!);

  expect(there.cache.peek('k')).toBeUndefined();
  await read(there, 'k', 'new');
  channel.deliver(first!);
  expect(there.cache.peek('k')).toBe('new');
});

describe('a storage that several processes use', () => {
  const eventsOf = async (storage: StorageTier): Promise<unknown[]> => {
    const { here, there } = setup({ storage });
    const events: unknown[] = [];
    there.cache.on('tier-error', ({ tier, operation, error }) =>
      events.push([tier, operation, (error as { readonly code?: unknown }).code]),
    );
    await there.cache.invalidate('own');
    expect(events).toEqual([]);
    for (const key of ['a', 'b']) await here.cache.invalidate(key);
    await here.cache.namespace('n').invalidate('c');
    return events;
  };

  test('and that compares no versions is told of once, since a load may undo a change there', async () => {
    const map = mapStorage();
    const plain = defineStorage({
      name: 'plain',
      get: (key) => map.get(key),
      set: (key, entry, keepUntil) => map.set(key, entry, keepUntil),
      delete: (key) => map.delete(key),
    });

    expect(await eventsOf(plain)).toEqual([['plain', 'version', 'SOLOFLIGHT_UNVERSIONED']]);
  });

  test('and that compares versions needs no warning', async () => {
    expect(await eventsOf(mapStorage())).toEqual([]);
  });
});

describe('messages that are lost', () => {
  test('make everything in memory stale once, when the backplane says so', async () => {
    const { clock, channel, here } = setup({ storage: [], staleWhileRevalidate: '1h', ttl: '1h' });
    await read(here, 'a', 'old');
    await read(here, 'b', 'old');
    clock.advance(10);

    channel.lose();
    const [a, b] = await Promise.all([here.cache.lookup('a'), here.cache.lookup('b')]);

    expect([a.status, b.status]).toEqual(['stale', 'stale']);
    clock.advance(1);
    for (const call of here.upstream.calls) if (!call.settled) call.resolve('new');
    await here.cache.idle();
    expect((await here.cache.lookup('a')).value).toBe('new');
    expect((await here.cache.lookup('a')).status).toBe('hit');
  });

  test('are noticed by the numbers of those that come', async () => {
    const { clock, channel, here, there } = setup({ storage: [], ttl: '1h', staleWhileRevalidate: '1h' });
    await read(there, 'k', 'old');
    channel.open = false;
    for (const key of ['first', 'k', 'last']) await here.cache.invalidate(key);
    const [first, , last] = channel.sent;

    channel.deliver(first!);
    channel.deliver(last!);
    expect((await there.cache.lookup('k')).status).toBe('hit');
    clock.advance(250);

    expect((await there.cache.lookup('k')).status).toBe('stale');
    expect(there.upstream.calls.length).toBe(2);
  });

  test('leave what is read from storage after them as fresh as it is', async () => {
    const { clock, channel, here, there } = setup({ ttl: '1h', staleWhileRevalidate: '1h' });
    await read(here, 'k', 'value');
    await read(there, 'other', 'so it listens');
    clock.advance(10);
    channel.lose();

    expect(await read(there, 'k', 'unused')).toBe('value');
    expect((await there.cache.lookup('k')).status).toBe('hit');
    expect(there.upstream.calls.length).toBe(1);

    // Doubted once more, it is stale again.
    channel.lose();
    expect((await there.cache.lookup('k')).status).toBe('stale');
  });

  test('do not let a read of storage under way pass for newer than they are', async () => {
    const storage = mapStorage();
    const answered = Promise.withResolvers<void>();
    const slow = defineStorage({
      ...{ name: 'slow', set: storage.set.bind(storage), delete: storage.delete.bind(storage) },
      get: async (key) => {
        const entry = await storage.get(key);
        await answered.promise;
        return entry;
      },
    } satisfies StorageAdapter);
    const { clock, channel, here } = setup({ storage: slow, ttl: '1h', staleWhileRevalidate: '1h' });
    const now = clock.now();
    await storage.set('k', sampleEntry(now, { value: 'old' }), now + 3_600_000);
    const reading = here.cache.get('k');
    await settle();

    // Another process deletes it, and the message of that is lost.
    await storage.delete('k');
    clock.advance(10);
    channel.lose();
    answered.resolve();
    await settle();
    here.upstream.calls[0]!.resolve('new');

    expect(await reading).toBe('new');
    expect(here.cache.peek('k')).toBe('new');
  });

  test('do not let a load under way pass for newer than they are', async () => {
    const { channel, here } = setup({ storage: [] });
    const loading = here.cache.get('k');
    await settle();
    channel.lose();
    here.upstream.calls[0]!.resolve('maybe old');

    expect(await loading).toBe('maybe old');
    expect(here.cache.peek('k')).toBeUndefined();
  });
});

describe('the first message heard of a sender', () => {
  /** One process that listens, and one that has told others of `k`, which the first did not get, and then of another key. */
  async function lossy({ quiet = 0, before = false } = {}) {
    const parts = setup({ storage: [], ttl: '1h', staleWhileRevalidate: '1h' });
    const { clock, channel, here, there } = parts;
    channel.open = false;
    if (!before) await read(there, 'k', 'old');
    await here.cache.invalidate('k');
    clock.advance(quiet);
    if (before) await read(there, 'k', 'old');
    await here.cache.invalidate('other');
    const statusLater = async (): Promise<string> => {
      clock.advance(250);
      return (await there.cache.lookup('k')).status;
    };
    return { ...parts, statusLater };
  }

  test('tells that the one before it was lost: memory is stale', async () => {
    const { channel, there, statusLater } = await lossy();

    channel.deliver(channel.sent[1]!);
    expect((await there.cache.lookup('k')).status).toBe('hit');

    expect(await statusLater()).toBe('stale');
  });

  test('tells so however long ago that was, if this process listened already', async () => {
    const { channel, statusLater } = await lossy({ quiet: 600_000 });

    channel.deliver(channel.sent[1]!);

    expect(await statusLater()).toBe('stale');
  });

  test('tells so of those that went together with it', async () => {
    const { channel, here, there, clock } = setup({ storage: [], ttl: '1h', staleWhileRevalidate: '1h' });
    await read(there, 'k', 'old');
    channel.open = false;
    clock.advance(10);
    await Promise.all([here.cache.invalidate('k'), here.cache.set('other', 'new')]);
    expect(channel.publications()).toBe(1);

    channel.deliver(channel.sent[1]!);
    clock.advance(250);

    expect((await there.cache.lookup('k')).status).toBe('stale');
  });

  test('doubts nothing where the ones before it came on another way', async () => {
    const { channel, there, statusLater } = await lossy();

    channel.deliver(channel.sent[1]!, channel.sent[0]!);
    await read(there, 'k', 'new');

    expect(await statusLater()).toBe('hit');
  });

  test('doubts nothing where those were sent before this process listened', async () => {
    const { channel, statusLater } = await lossy({ before: true, quiet: 1_001 });

    channel.deliver(channel.sent[1]!);

    expect(await statusLater()).toBe('hit');
  });

  test('doubts once for all senders that are heard at the same time', async () => {
    const { channel, clock, there, statusLater } = await lossy();
    const [, message] = channel.sent;
    channel.deliver(message!, { ...message!, origin: 'another' });
    expect(await statusLater()).toBe('stale');
    await settle();
    clock.advance(1);
    for (const call of there.upstream.calls) if (!call.settled) call.resolve('new');
    await there.cache.idle();

    expect(await statusLater()).toBe('hit');
  });

  test('of an earlier version tells nothing', async () => {
    const { channel, statusLater } = await lossy();
    const { previous: _, ...message } = channel.sent[1]!;

    channel.deliver(message);

    expect(await statusLater()).toBe('hit');
  });
});

describe('a backplane that fails', () => {
  test('fails no caller; what it did not take is sent again, as it was', async () => {
    const { clock, channel, here, there } = setup({ storage: [] });
    await read(there, 'k', 'old');
    const errors: unknown[] = [];
    here.cache.on('tier-error', ({ tier, operation }) => errors.push([tier, operation]));
    channel.failure = new Error('away');
    const at = clock.now();

    await here.cache.invalidate('k');
    expect(there.cache.peek('k')).toBe('old');
    expect(errors).toEqual([['wire', 'publish']]);
    channel.failure = undefined;
    clock.advance(1_000);
    await settle();

    expect(there.cache.peek('k')).toBeUndefined();
    expect(channel.sent).toMatchObject([{ kind: 'invalidate', sequence: 1, at }]);
  });

  test('keeps no more than it can: then everything is cleared', async () => {
    const { clock, channel, here, there } = setup({ storage: [], maxDuration: Infinity });
    await read(there, 'never mentioned', 'old');
    channel.failure = new Error('away');
    for (let turn = 0; turn < 1_100; turn += 1) await here.cache.invalidate(`k-${turn}`);
    channel.failure = undefined;
    clock.advance(1_000);
    await settle();

    expect(channel.sent.some(({ kind }) => kind === 'clear')).toBe(true);
    expect(channel.sent.length).toBeLessThan(500);
    expect(there.cache.peek('never mentioned')).toBeUndefined();
  });

  test('is waited for before the first load, and then no more', async () => {
    const { channel, here, clock } = setup({ storage: [] });
    channel.admit = () => new Promise(() => {});

    const reading = here.cache.get('k');
    await settle();
    expect(here.upstream.calls.length).toBe(0);
    clock.advance(1_000);
    await settle();
    here.upstream.calls[0]!.resolve('value');

    expect(await reading).toBe('value');
    expect(await read(here, 'other', 'at once')).toBe('at once');
  });

  test('makes what was loaded without it stale once it is there', async () => {
    const { channel, here, clock } = setup({ storage: [], ttl: '1h', staleWhileRevalidate: '1h' });
    let refused = 0;
    channel.admit = async () => {
      refused += 1;
      if (refused < 3) throw new Error('not yet');
    };
    await read(here, 'k', 'value');
    expect((await here.cache.lookup('k')).status).toBe('hit');

    clock.advance(1_000);
    await settle();
    expect((await here.cache.lookup('k')).status).toBe('hit');
    clock.advance(1_000);
    await settle();

    expect(refused).toBe(3);
    expect((await here.cache.lookup('k')).status).toBe('stale');
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('at once');
      },
    ],
    ['rejects', () => Promise.reject(undefined)],
  ] as const)('%s at every call, and costs nobody anything but events', async (_, fail) => {
    const backplane = defineBackplane({ name: 'broken', publish: fail, subscribe: fail });
    const { cache, upstream } = setupCache({ backplane });
    const reading = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('value');
    expect(await reading).toBe('value');
    expect(await cache.invalidate('k')).toBe(true);
    await cache.close();
  });
});

describe('the end of a cache with a backplane', () => {
  test('leaves the channel, and takes no message any more', async () => {
    const { channel, here } = setup({ storage: [] });
    await read(here, 'k', 'value');
    expect(channel.listeners.size).toBe(1);
    await here.cache.close();
    expect(channel.listeners.size).toBe(0);
  });

  test('constructing one touches nothing', async () => {
    const channel = wire();
    const cache = new TieredCache({ ttl: '1s', backplane: channel.plug(), upstream: scriptedUpstream<string>() });
    await settle();
    expect(channel.listeners.size).toBe(0);
    await cache.close();
    expect(channel.publications()).toBe(0);
  });

  test('one that is no backplane is refused', () => {
    expect(() => new TieredCache({ ttl: 1, backplane: {} as never })).toThrow(/Expected `backplane` to be a backplane/);
  });
});

/** `tier` with methods that can be spread. */
function bound(tier: ReturnType<typeof mapStorage>): StorageAdapter {
  return {
    name: tier.name,
    get: (key) => tier.get(key),
    set: (key, entry, keepUntil) => tier.set(key, entry, keepUntil),
    delete: (key) => tier.delete(key),
  };
}
