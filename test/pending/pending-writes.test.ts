import { describe, expect, test } from 'vitest';

import { writeThrough, defineWrites, mapStorage, type PendingWrites } from '../../src/index.js';
import { WriteLanes } from '../../src/pending/lanes.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** Pending writes of somebody else, which say and do what the test wants. */
function scriptedWrites() {
  const listeners = new Map<string, Set<(event: { readonly key: string }) => void>>();
  const puts: { readonly value: string; readonly accept: () => void }[] = [];
  const writes: PendingWrites<string> = {
    open: async () => {},
    peek: () => undefined,
    put: (_key, value) => new Promise((accept) => puts.push({ value, accept })),
    delete: async () => {},
    on(type, listener) {
      const all = listeners.get(type) ?? new Set();
      listeners.set(type, all.add(listener));
      return () => void all.delete(listener);
    },
  };
  const emit = (type: string, key: string): void => listeners.get(type)?.forEach((listener) => listener({ key }));
  const listening = (): number => [...listeners.values()].reduce((sum, { size }) => sum + size, 0);
  return { pending: writes, writes: defineWrites(writes), puts, emit, listening };
}

describe('a cache over pending writes', () => {
  test('hears of its key again when its own write was given up', async () => {
    const { writes, emit } = scriptedWrites();
    const { cache, clock } = setupCache({ writes, ttl: '1h', maxDuration: '1s', upstream: () => 'loaded' });
    const set = cache.set('k', 'mine').catch(({ code }: { code: string }) => code);
    await clock.advanceAsync(1_000);
    expect(await set).toBe('SOLOFLIGHT_FLIGHT_TIMEOUT');
    await cache.get('k');

    emit('accept', 'k');

    expect(cache.peek('k')).toBeUndefined();
  });

  test('knows its second write as its own when the first, given up before, ends', async () => {
    const { writes, puts, emit } = scriptedWrites();
    const { cache, clock } = setupCache({ writes, ttl: '1h', maxDuration: '1s' });
    const first = cache.set('k', 'first').catch(() => {});
    await clock.advanceAsync(1_000);
    await first;
    const second = cache.set('k', 'second');
    await settle();

    puts[0]!.accept();
    await settle();
    emit('accept', 'k');
    puts[1]!.accept();
    await second;

    expect(cache.peek('k')).toBe('second');
  });

  test('keeps what storage has of a write that was restored', async () => {
    const { writes, emit } = scriptedWrites();
    const storage = mapStorage();
    const { cache } = setupCache({ writes, storage, ttl: '1h', upstream: () => 'loaded' });
    await cache.get('k');
    await cache.idle();

    emit('restore', 'k');
    await settle();

    expect([cache.peek('k'), (await storage.get('k'))?.value]).toEqual([undefined, 'loaded']);
  });

  test('makes what it stored stale when a write that was given up fails later', async () => {
    let fail = (_reason: unknown): void => {};
    const through = (): Promise<void> => new Promise((_resolve, reject) => (fail = reject));
    let loads = 0;
    const { cache, clock } = setupCache({
      writes: writeThrough(through),
      ttl: '1h',
      maxDuration: '1s',
      upstream: () => `${(loads += 1)}`,
    });
    const set = cache.set('k', 'mine').catch(() => {});
    await clock.advanceAsync(1_000);
    await set;
    expect(await cache.get('k')).toBe('1');

    fail(new Error('the connection was lost'));
    await settle();

    expect(await cache.lookup('k')).toMatchObject({ status: 'stale' });
  });

  test('listens no more when it is closed', async () => {
    const { writes, listening } = scriptedWrites();
    const { cache } = setupCache({ writes });
    expect(listening()).toBeGreaterThan(0);

    await cache.close();

    expect(listening()).toBe(0);
  });

  test('keeps a written value although its key was written past it before that was asked for', async () => {
    const { writes, puts, emit } = scriptedWrites();
    let loaded = (_value: string): void => {};
    const { cache } = setupCache({
      writes,
      ttl: '1h',
      upstream: () => new Promise<string>((resolve) => (loaded = resolve)),
    });
    const update = cache.update('k', (value) => `${value}!`);
    await settle();
    emit('accept', 'k');
    loaded('old');
    await settle();

    puts[0]!.accept();
    await update;

    expect(cache.peek('k')).toBe('old!');
  });
});

describe('an update that fails', () => {
  test('does not bring back what was there before over what was loaded since', async () => {
    let fail = (_reason: unknown): void => {};
    const through = (): Promise<void> => new Promise((_resolve, reject) => (fail = reject));
    let stored = 'old';
    const { cache } = setupCache({ writes: writeThrough(through), ttl: '1h', upstream: () => stored });
    await cache.get('k');
    const update = cache.update('k', (value) => `${String(value)}!`).catch(() => {});
    await settle();
    stored = 'theirs';
    await cache.invalidate('k');
    await cache.get('k');

    fail(new Error('refused'));
    await update;

    expect(cache.peek('k')).toBe('theirs');
  });
});

describe('what is pending, where nobody can tell how long it may be kept', () => {
  test('is isolated as any other value', async () => {
    const { cache } = setupCache<{ readonly n: number }>({
      writes: defineWrites({ ...scriptedWrites().pending, peek: () => ({ kind: 'put', value: { n: 1 } }) } as never),
      isolate: 'freeze',
      ttl: () => {
        throw new Error('no idea');
      },
    });

    expect(Object.isFrozen(await cache.get('k'))).toBe(true);
  });
});

describe('the lanes of writes', () => {
  test('note nothing of keys that are not being written, and forget what they noted', async () => {
    const lanes = new WriteLanes();
    lanes.outrun('k');
    expect(lanes.takeOutrun('k')).toBe(false);
    const write = lanes.run('k', async () => {
      await null;
      lanes.outrun('k');
    });
    await write;
    await settle();
    expect(lanes.takeOutrun('k')).toBe(false);
  });
});
