import { describe, expect, test } from 'vitest';

import { writeThrough, mapStorage, type TieredCache } from '../../src/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

interface Call {
  readonly key: string;
  readonly value: string | undefined;
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A cache whose writes wait until the test settles them. */
function setup(options: Parameters<typeof setupCache<string>>[0] = {}) {
  const calls: Call[] = [];
  const storage = mapStorage();
  const parts = setupCache({
    storage,
    writes: writeThrough<string>(
      (key, value, { signal }) =>
        new Promise<void>((resolve, reject) => calls.push({ key, value, signal, resolve, reject })),
    ),
    ...options,
  });
  return { ...parts, calls, storage };
}

describe('set with `writes`', () => {
  test('writes to the upstream first; readers have the old value until that is done, and the new one from then on', async () => {
    const { cache, calls, storage } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;

    const written = cache.set('k', 'new');
    expect(await cache.get('k')).toBe('old');
    expect(await storage.get('k')).toMatchObject({ value: 'old' });
    calls[1]!.resolve();
    await written;

    expect(await cache.get('k')).toBe('new');
    expect(await storage.get('k')).toMatchObject({ value: 'new' });
    expect(calls.map(({ key, value }) => [key, value])).toEqual([
      ['k', 'old'],
      ['k', 'new'],
    ]);
  });

  test('a failed write reaches the writer as it is, and what is stored gets stale: it may have arrived all the same', async () => {
    const { cache, clock, calls, upstream } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;
    clock.advance(1);
    const failure = new Error('refused');

    const written = cache.set('k', 'new');
    calls[1]!.reject(failure);

    await expect(written).rejects.toBe(failure);
    expect(await cache.lookup('k')).toMatchObject({ value: 'old', status: 'stale' });
    await settle();
    upstream.calls[0]!.resolve('new after all');
    await settle();
    expect(await cache.get('k')).toBe('new after all');
  });

  test('a load that began before the write was done does not bring back what was there before', async () => {
    const { cache, calls, upstream } = setup();

    const written = cache.set('k', 'new');
    const read = cache.get('k');
    await settle();
    calls[0]!.resolve();
    await written;
    upstream.calls[0]!.resolve('old');

    expect(await read).toBe('old');
    expect(await cache.get('k')).toBe('new');
  });

  test('writes of one key wait for each other, in the order of the calls; those of others do not', async () => {
    const { cache, calls } = setup();

    const written = [cache.set('a', '1'), cache.set('a', '2'), cache.set('b', '3'), cache.set('a', '4')];
    await settle();
    expect(calls.map(({ value }) => value)).toEqual(['1', '3']);
    calls[0]!.reject(new Error('refused'));
    await expect(written[0]).rejects.toThrow('refused');
    await settle();
    expect(calls.map(({ value }) => value)).toEqual(['1', '3', '2']);
    calls[2]!.resolve();
    await settle();
    calls[1]!.resolve();
    calls[3]!.resolve();
    await Promise.all(written.slice(1));

    expect(await cache.getMany(['a', 'b'])).toEqual(['4', '3']);
  });

  test('one that takes longer than `maxDuration` is given up, its signal aborts, and the next one gets its turn', async () => {
    const { cache, clock, calls } = setup({ maxDuration: 100 });

    const written = cache.set('k', '1');
    const next = cache.set('k', '2');
    clock.advance(100);

    await expect(written).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT', key: 'k' });
    expect(calls[0]!.signal.aborted).toBe(true);
    await settle();
    calls[1]!.resolve();
    await next;
    expect(cache.peek('k')).toBe('2');
  });

  test('one that was given up and lands all the same makes what was loaded meanwhile stale', async () => {
    const database = { value: 'old' };
    const { cache, clock, calls } = setup({ maxDuration: 100, ttl: '1h', upstream: () => database.value });
    const written = cache.set('k', 'late');
    clock.advance(100);
    await expect(written).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
    expect(await cache.get('k')).toBe('old');

    database.value = 'late';
    calls[0]!.resolve();
    await settle();

    expect(await cache.lookup('k')).toMatchObject({ value: 'old', status: 'stale' });
    await cache.idle();
    expect(await cache.get('k')).toBe('late');
  });

  test('one that was given up and lands after the next one makes that stale', async () => {
    const database = { value: 'old' };
    const { cache, clock, calls } = setup({ maxDuration: 100, ttl: '1h', upstream: () => database.value });
    const first = cache.set('k', 'first');
    const second = cache.set('k', 'second');
    clock.advance(100);
    await expect(first).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
    await settle();
    calls[1]!.resolve();
    await second;

    database.value = 'first';
    calls[0]!.resolve();
    await settle();

    expect(await cache.lookup('k')).toMatchObject({ value: 'second', status: 'stale' });
    await cache.idle();
    expect(await cache.get('k')).toBe('first');
  });

  test('one that throws at once, or throws nothing at all, is a failed write and nothing else', async () => {
    for (const reason of [new Error('at once'), undefined]) {
      const { cache } = setup({
        writes: writeThrough(() => {
          throw reason;
        }),
      });
      await expect(cache.set('k', 'v')).rejects.toBe(reason);
      expect(cache.peek('k')).toBeUndefined();
    }
  });

  test('is waited for when the cache closes', async () => {
    const { cache, calls } = setup();
    const written = cache.set('k', 'v');

    let closed = false;
    const closing = cache.close().then(() => (closed = true));
    await settle();
    expect(closed).toBe(false);
    calls[0]!.resolve();
    await written;
    await closing;

    await expect(cache.set('k', 'v')).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
  });
});

describe('update', () => {
  test('shows the new value at once, and stores it when the upstream has it', async () => {
    const { cache, calls, storage } = setup({ upstream: () => 'old' });

    const updated = cache.update('k', (current) => `${current}+1`);
    await settle();
    expect(cache.peek('k')).toBe('old+1');
    expect(await cache.get('k')).toBe('old+1');
    calls[0]!.resolve();

    expect(await updated).toBe('old+1');
    expect(await storage.get('k')).toMatchObject({ value: 'old+1' });
  });

  test('what is reloaded in the background meanwhile does not take the place of what it shows', async () => {
    const { cache, clock, calls, upstream } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;
    clock.advance(2_000);
    expect(await cache.get('k')).toBe('old');
    await settle();

    const updated = cache.update('k', () => 'new', { maxStale: Infinity });
    await settle();
    upstream.calls[0]!.resolve('old, but loaded later');
    await settle();
    expect(await cache.get('k')).toBe('new');
    calls[1]!.resolve();

    expect(await updated).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });

  test('a failed one brings back what was there before, as stale, and rejects with the failure', async () => {
    const { cache, calls, upstream } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;

    const updated = cache.update('k', () => 'new');
    await settle();
    expect(cache.peek('k')).toBe('new');
    calls[1]!.reject(new Error('refused'));

    await expect(updated).rejects.toThrow('refused');
    expect(await cache.lookup('k')).toMatchObject({ value: 'old', status: 'stale' });
    await settle();
    upstream.calls[0]!.resolve('old');
    await cache.idle();
  });

  test.each<[string, (cache: TieredCache<string>) => Promise<unknown>]>([
    ['its key', (cache) => cache.expire('k')],
    ['a tag', (cache) => cache.invalidateTags('t', { mode: 'expire' })],
  ])('a failed one is taken back although what it showed was made stale meanwhile, by %s', async (_, expire) => {
    const { cache, clock, calls, upstream } = setup({ tags: ['t'] });
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;

    const updated = cache.update('k', () => 'new');
    await settle();
    clock.advance(1);
    await expire(cache);
    expect(await cache.lookup('k')).toMatchObject({ value: 'new', status: 'stale' });
    calls[1]!.reject(new Error('refused'));

    await expect(updated).rejects.toThrow('refused');
    expect(await cache.lookup('k', { maxStale: Infinity })).toMatchObject({ value: 'old', status: 'stale' });
    await settle();
    for (const call of upstream.calls) if (!call.settled) call.resolve('old');
    await cache.idle();
  });

  test('a failed one of a key that had nothing leaves nothing', async () => {
    const { cache, calls } = setup({ upstream: () => undefined as never });

    const updated = cache.update('k', (current) => current ?? 'first');
    await settle();
    expect(cache.peek('k')).toBe('first');
    calls[0]!.reject(new Error('refused'));

    await expect(updated).rejects.toThrow('refused');
    expect(cache.peek('k')).toBeUndefined();
  });

  test('what came in between is not undone by a failed one', async () => {
    const { cache, calls, upstream } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;

    const updated = cache.update('k', () => 'new');
    await settle();
    await cache.invalidate('k');
    calls[1]!.reject(new Error('refused'));

    await expect(updated).rejects.toThrow('refused');
    expect(cache.peek('k')).toBeUndefined();
    expect(upstream.count).toBe(0);
  });

  test('a hundred of them at the same time lose none', async () => {
    const { cache, calls } = setup({ upstream: () => '' });

    const updates = Array.from({ length: 100 }, (_, index) => cache.update('k', (current) => `${current}${index},`));
    for (let turn = 0; turn < 100; turn += 1) {
      await settle();
      calls[turn]!.resolve();
    }
    await Promise.all(updates);

    expect(await cache.get('k')).toBe(`${Array.from({ length: 100 }, (_, index) => index).join(',')},`);
  });

  test('starts from a fresh value, unless a stale one will do', async () => {
    const { cache, clock, calls, upstream } = setup();
    const first = cache.set('k', 'old');
    calls[0]!.resolve();
    await first;
    clock.advance(1_000);

    const lax = cache.update('k', (current) => `${current}!`, { maxStale: Infinity });
    await settle();
    calls[1]!.resolve();
    expect(await lax).toBe('old!');
    clock.advance(1_000);
    const strict = cache.update('k', (current) => `${current}!`);
    await settle();
    upstream.calls.at(-1)!.resolve('newest');
    await settle();
    calls[2]!.resolve();

    expect(await strict).toBe('newest!');
  });

  test('changes nothing when the function fails, or when there is no current value to be had', async () => {
    const { cache, calls, upstream } = setup();

    const failing = cache.update('k', () => {
      throw new Error('cannot');
    });
    await settle();
    upstream.calls[0]!.resolve('v');
    await expect(failing).rejects.toThrow('cannot');
    const promised = cache.update('k', (async () => 'v') as never);
    await expect(promised).rejects.toThrow('a value, not a promise of one');
    const unknown = cache.update('l', () => 'v');
    await settle();
    upstream.calls[1]!.reject(new Error('down'));
    await expect(unknown).rejects.toThrow('down');

    expect(calls).toEqual([]);
    expect(cache.peek('k')).toBe('v');
  });

  test('without an upstream to load from starts with what is stored', async () => {
    const { cache, calls } = setup({ upstream: undefined as never });

    const updated = cache.update('k', (current) => `${current}`);
    await settle();
    calls[0]!.resolve();

    expect(await updated).toBe('undefined');
  });

  test('needs `writes`, which have to be what they should', async () => {
    const { cache } = setupCache();

    await expect(cache.update('k', () => 'v')).rejects.toThrow(/`writes`/);
    expect(() => setupCache({ writes: {} as never })).toThrow(/writes/);
    expect(() => setup().cache.namespace('a')).toThrow(/put the name into the key/);
    await expect(setup().cache.update('k', 'v' as never)).rejects.toThrow(/`change`/);
  });
});
