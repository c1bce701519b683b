import { describe, expect, test } from 'vitest';

import { defineStorage, TieredCache, type Entry, type TieredCacheOptions } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';

/** A storage that says that it may lose what it holds, and from which a test takes things away. */
function forgettingStorage() {
  const entries = new Map<string, Entry>();
  const versions = new Map<string, number>();
  const calls: string[] = [];
  let count = 0;
  const change = (key: string): void => void versions.set(key, (count += 1));
  const setIfNewer = (key: string, entry: Entry): boolean => {
    if ((entries.get(key)?.startedAt ?? -Infinity) > entry.startedAt) return false;
    entries.set(key, entry);
    return true;
  };
  const storage = defineStorage({
    name: 'forgetting',
    forgets: true,
    get: async (key) => entries.get(key),
    getMany: async (keys) => {
      calls.push(`get ${keys.join(' ')}`);
      return keys.map((key) => entries.get(key));
    },
    set: async (key, entry) => {
      change(key);
      entries.set(key, entry);
    },
    delete: async (key) => {
      change(key);
      return entries.delete(key);
    },
    setIfNewer: async (key, entry) => setIfNewer(key, entry),
    version: async (key, newerThan) => {
      const entry = entries.get(key);
      const version = String(versions.get(key) ?? 0);
      return entry !== undefined && entry.startedAt > newerThan ? { version, entry } : { version };
    },
    setIfVersion: async (key, entry, _until, version, isChange) => {
      if (String(versions.get(key) ?? 0) !== version) return false;
      if (!isChange) return setIfNewer(key, entry);
      change(key);
      entries.set(key, entry);
      return true;
    },
  });
  return { storage, entries, calls };
}

const TAG = '@#t';
const EXPIRED = '@~t';
const CLEARED = '@!';

function fleet(options: Partial<TieredCacheOptions<number>> = {}) {
  const store = forgettingStorage();
  let loads = 0;
  const process = () => {
    const clock = manualClock();
    const cache = new TieredCache<number>({
      ...{ ttl: '1h', memory: false, storage: store.storage, clock, writeBack: 'await' },
      upstream: () => (loads += 1),
      ...options,
    });
    return { cache, clock };
  };
  return { ...store, process, a: process(), b: process(), loads: () => loads };
}

describe('storage that may lose what it holds', () => {
  test.each([CLEARED, TAG])('does not bring back what was invalidated when the marker %s is lost', async (marker) => {
    const { a, b, entries, storage } = fleet({ tags: ['t'] });
    for (let reads = 0; reads < 3; reads += 1) await a.cache.get('k');
    const old = entries.get('k')!;
    await (marker === TAG ? a.cache.invalidateTags(['t']) : a.cache.clear());
    await b.cache.get('other');

    entries.set('k', old);
    await storage.delete(marker);

    expect(await b.cache.get('k')).not.toBe(old.value);
    // Nor when somebody else has planted the marker again.
    entries.set('k', old);
    expect(await a.cache.get('k')).not.toBe(old.value);
  });

  test('shows as stale what may have been expired by a marker that is lost', async () => {
    const { a, b, storage } = fleet({ tags: ['t'], staleWhileRevalidate: '1h' });
    for (let reads = 0; reads < 3; reads += 1) await a.cache.get('k');

    await storage.delete(EXPIRED);

    expect((await b.cache.lookup('k')).status).toBe('stale');
  });

  test('gives an entry without tags to other processes at once, whatever the clocks say', async () => {
    const { a, b, loads } = fleet();

    await a.cache.get('k');
    b.clock.jump(-500);

    expect([await b.cache.get('k'), loads()]).toEqual([1, 1]);
  });

  test('gives entries on that were loaded at the same time, while their markers were planted', async () => {
    const { a, b, loads } = fleet();
    const keys = ['k', 'l', 'm', 'n'];

    const values = await Promise.all(keys.map((key) => a.cache.get(key)));

    expect([await b.cache.getMany(keys), loads()]).toEqual([values, 4]);
  });

  test('gives an entry with tags to other processes once it was loaded under known markers', async () => {
    const { a, b, process, loads } = fleet({ tags: ['t'] });

    await a.cache.get('k');
    expect([await b.cache.get('k'), loads()]).toEqual([2, 2]);

    expect([await a.cache.get('k'), await process().cache.get('k'), loads()]).toEqual([2, 2, 2]);
    await a.cache.get('l');
    expect([await b.cache.get('l'), loads()]).toEqual([3, 3]);
  });

  test('gives what is set to other processes at once', async () => {
    const { a, b, loads } = fleet({ tags: ['t'] });

    await a.cache.set('k', 7);

    expect([await b.cache.get('k'), loads()]).toEqual([7, 0]);
  });

  test.each([
    ['a tag', (cache: TieredCache<number>) => cache.invalidateTags(['t'])],
    ['clear', (cache: TieredCache<number>) => cache.clear()],
  ])('gives on what was loaded right after an invalidation by %s, and nothing from before', async (_, invalidate) => {
    const { a, b, process, loads } = fleet({ tags: ['t'] });
    for (let reads = 0; reads < 3; reads += 1) await a.cache.get('k');
    await invalidate(a.cache);

    const value = await b.cache.get('k');

    expect(value).toBe(loads());
    expect([await process().cache.get('k'), loads()]).toEqual([value, value]);
  });

  test('does not believe what a load brings that began before another process invalidated', async () => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    let value = 1;
    const { a, b, process, entries, storage } = fleet({
      tags: ['t'],
      upstream: async ({ length }) => {
        const read = value;
        if (length === 4) {
          begun.resolve();
          await gate.promise;
        }
        return read;
      },
    });
    await a.cache.get('k');
    const slow = a.cache.get('slow');
    await begun.promise;
    value = 2;
    await b.cache.invalidateTags(['t']);
    // The marker is lost, and another process plants it anew.
    await storage.delete(TAG);
    await b.cache.get('k');
    // The slow process knows the new marker by the time at which its load ends.
    await a.cache.get('k');
    gate.resolve();
    await slow;

    expect(entries.get('slow')?.value).toBe(1);
    expect(await process().cache.get('slow')).toBe(2);
  });

  test('takes an invalidation of a process whose clock is behind', async () => {
    const { a, b } = fleet({ tags: ['t'] });
    for (let reads = 0; reads < 3; reads += 1) await a.cache.get('k');
    const old = await a.cache.get('k');
    b.clock.jump(-60_000);

    await b.cache.invalidateTags(['t']);

    expect(await a.cache.get('k')).not.toBe(old);
  });

  test('is believed again after one load where a marker was lost', async () => {
    const { a, b, process, storage, loads } = fleet({ tags: ['t'] });
    for (let reads = 0; reads < 3; reads += 1) await a.cache.get('k');
    await storage.delete(TAG);
    const before = loads();

    const value = await b.cache.get('k');

    expect([await process().cache.get('k'), loads()]).toEqual([value, before + 1]);
  });

  test('answers a hit in one reading, and one with tags in two', async () => {
    const { a, calls } = fleet({ tags: (_, key) => (key === 'plain' ? [] : ['t']) });
    for (const key of ['plain', 'k', 'k', 'k']) await a.cache.get(key);
    calls.length = 0;

    await a.cache.get('plain');
    expect(calls).toEqual(['get @! plain']);
    await a.cache.get('k');
    expect(calls.slice(1)).toEqual(['get @! k', `get ${TAG} ${EXPIRED}`]);
  });

  test('costs a miss no command while the marker is there', async () => {
    const { a, calls } = fleet();
    await a.cache.get('k');
    calls.length = 0;

    await a.cache.get('l');

    expect(calls).toEqual(['get @! l']);
  });

  test('keeps what is expired as a fallback', async () => {
    const { a, b } = fleet({ staleWhileRevalidate: '1h' });
    await a.cache.get('k');

    await a.cache.expire('k');

    expect((await b.cache.lookup('k')).status).toBe('stale');
  });
});
