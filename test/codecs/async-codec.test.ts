import { DatabaseSync } from 'node:sqlite';

import { describe, expect, test } from 'vitest';

import { gzip } from '../../src/codecs/index.js';
import { jsonCodec, TieredCache, type CacheEvent, type Codec } from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);
const LARGE = sampleEntry(AT, { value: 'soloflight '.repeat(1_000) });

/** A codec whose every call waits, and fails where the value or the payload says so. */
const fussy: Codec = {
  name: 'fussy',
  async encode(value) {
    if (value === 'unwritable') throw new Error('encode');
    return JSON.stringify(value);
  },
  async decode(payload) {
    if (payload === '"unreadable"') throw new Error('decode');
    return JSON.parse(payload as string) as unknown;
  },
};

function setup(codec: Codec) {
  const database = new DatabaseSync(':memory:');
  const storage = sqliteStorage({ database, codec });
  const errors: unknown[] = [];
  const cacheOver = (upstream: (key: string) => string) => {
    const cache = new TieredCache<string>({ ttl: '1h', storage, upstream });
    cache.on('tier-error', (event: Extract<CacheEvent, { type: 'tier-error' }>) => errors.push(event.error));
    return cache;
  };
  return { database, storage, errors, cacheOver };
}

describe('SQLite with a codec that makes promises', () => {
  test('stores what is large compressed, and gives it back, alone and together', async () => {
    const { database, storage } = setup(gzip(jsonCodec));

    await storage.set('large', LARGE, Infinity);
    await storage.setIfNewer?.('newer', LARGE, Infinity);
    await storage.setMany?.([
      { key: 'small', entry: ENTRY, keepUntil: Infinity },
      { key: 'many', entry: LARGE, keepUntil: Infinity },
    ]);

    expect(await storage.getMany?.(['large', 'small', 'missing', 'many'])).toEqual([LARGE, ENTRY, undefined, LARGE]);
    expect(await storage.get('newer')).toEqual(LARGE);
    expect(
      database.prepare("SELECT length(value) AS bytes FROM soloflight WHERE key = 'large'").get()?.['bytes'],
    ).toBeLessThan(200);
  });

  test('stays synchronous for what is small', () => {
    const { storage } = setup(gzip(jsonCodec));

    expect(storage.set('small', ENTRY, Infinity)).toBeUndefined();
    expect(storage.get('small')).toEqual(ENTRY);
    expect(storage.getMany?.(['small'])).toEqual([ENTRY]);
  });

  test('stores none of several entries if one can not be encoded, at once or later', async () => {
    const { storage } = setup(gzip(jsonCodec, { above: 100 }));
    const late = { ...fussy, encode: (value: unknown) => (value === 'now' ? fail() : fussy.encode(value)) };
    const { storage: other } = setup(late);
    const write = (key: string, value: unknown) => ({ key, entry: { ...ENTRY, value }, keepUntil: Infinity });

    await expect(async () => storage.setMany?.([write('a', 'x'.repeat(999)), write('b', 1n)])).rejects.toMatchObject({
      ...{ code: 'SOLOFLIGHT_UNENCODABLE', key: 'b', cause: new TypeError('Do not know how to serialize a BigInt') },
    });
    await expect(async () => other.setMany?.([write('a', 'unwritable'), write('b', 'now')])).rejects.toThrow('now');

    expect(await storage.getMany?.(['a', 'b'])).toEqual([undefined, undefined]);
  });

  test('rejects a write whose encoding outlasts the storage', async () => {
    const { storage } = setup(fussy);

    const written = storage.set('k', ENTRY, Infinity);
    await storage.close?.();

    await expect(written).rejects.toMatchObject({ code: 'SOLOFLIGHT_STORAGE_CLOSED' });
  });

  test('gives what can be decoded, where one of many can not', async () => {
    const { storage } = setup(fussy);
    for (const value of ['a', 'unreadable', 'b']) await storage.set(value, { ...ENTRY, value }, Infinity);

    const found = await storage.getMany?.(['a', 'unreadable', 'b']);

    expect(found?.map((entry) => entry?.value)).toEqual(['a', undefined, 'b']);
    await expect(storage.get('unreadable')).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
  });
});

describe('a cache over a codec that rejects', () => {
  test('on a write: the caller has the value, the write is reported and dropped', async () => {
    const { storage, errors, cacheOver } = setup(fussy);
    const cache = cacheOver(() => 'unwritable');

    expect(await cache.get('k')).toBe('unwritable');
    await cache.idle();

    expect(errors).toMatchObject([{ code: 'SOLOFLIGHT_UNENCODABLE', key: 'k', cause: new Error('encode') }]);
    expect(await storage.get('k')).toBeUndefined();
    await cache.close();
  });

  test('on a read: a miss, and what is stored stays', async () => {
    const { database, storage, errors, cacheOver } = setup(fussy);
    await storage.set('k', { ...ENTRY, value: 'unreadable' }, Infinity);
    let loads = 0;
    const cache = cacheOver(() => {
      loads += 1;
      throw new Error('upstream');
    });

    await expect(cache.get('k')).rejects.toThrow('upstream');
    await cache.idle();

    expect(loads).toBe(1);
    expect(errors).toMatchObject([{ code: 'SOLOFLIGHT_UNDECODABLE' }]);
    expect(database.prepare('SELECT value FROM soloflight').get()).toEqual({ value: '"unreadable"' });
    await cache.close();
  });

  test('on every read: the tier still counts as healthy', async () => {
    const { storage, cacheOver } = setup(fussy);
    for (let key = 0; key < 9; key += 1) await storage.set(`k${key}`, { ...ENTRY, value: 'unreadable' }, Infinity);
    await storage.set('good', { ...LARGE, ...lasting(), tags: [], value: 'stored' }, Infinity);
    const cache = cacheOver(() => 'loaded');

    for (let key = 0; key < 9; key += 1) expect(await cache.get(`k${key}`)).toBe('loaded');

    expect(await cache.get('good')).toBe('stored');
    await cache.close();
  });
});

function lasting() {
  return { freshUntil: Infinity, staleUntil: Infinity, errorUntil: Infinity };
}

function fail(): never {
  throw new Error('now');
}
