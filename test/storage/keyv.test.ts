import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Keyv, KeyvMemoryAdapter } from 'keyv';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import { TieredCache, type Codec, type StorageTier } from '../../src/index.js';
import { keyvStorage, type KeyvLike } from '../../src/storage/keyv.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';
import { KeyvSqlite } from '../support/keyv-sqlite.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);
const UNDECODABLE = { code: 'SOLOFLIGHT_UNDECODABLE' };

afterEach(() => void vi.restoreAllMocks());

/** A `Keyv` over a map that can be looked into. */
function setup(options: { readonly namespace?: string; readonly ttl?: number } = {}) {
  const map = new Map<string, { value: unknown; expires?: number }>();
  const keyv = new Keyv(map, options);
  return { map, keyv, storage: keyvStorage(keyv) };
}

/** A `Keyv` whose backend fails in all it is asked for. */
function failing(listened: boolean) {
  const backend = new KeyvMemoryAdapter(new Map());
  const fail = () => Promise.reject(new Error('backend'));
  Object.assign(backend, {
    get: fail,
    getMany: fail,
    set: fail,
    setMany: fail,
    delete: fail,
    deleteMany: fail,
    clear: fail,
  });
  const keyv = new Keyv(backend, { namespace: 'n' });
  const errors: unknown[] = [];
  if (listened) keyv.on('error', (error: unknown) => errors.push(error));
  return { keyv, errors, storage: keyvStorage(keyv) };
}

describe.each([
  ['nobody', false],
  ['somebody', true],
])('a backend that rejects, while %s listens to errors', (_who, listened) => {
  test.each<[string, (storage: StorageTier) => unknown]>([
    ['get', (storage) => storage.get('k')],
    ['getMany', (storage) => storage.getMany?.(['k', 'l'])],
    ['set', (storage) => storage.set('k', ENTRY, Infinity)],
    ['setMany', (storage) => storage.setMany?.([{ key: 'k', entry: ENTRY, keepUntil: Infinity }])],
    ['delete', (storage) => storage.delete('k')],
    ['deleteMany', (storage) => storage.deleteMany?.(['k'])],
    ['clear', (storage) => storage.clear?.()],
  ])('makes %s reject, and is told to no one else than before', async (_name, call) => {
    const { keyv, errors, storage } = failing(listened);

    await expect(call(storage)).rejects.toThrow('backend');

    expect(errors).toHaveLength(listened ? 1 : 0);
    expect(keyv.listeners('error')).toHaveLength(listened ? 1 : 0);
  });
});

test('an invalidation that the backend refuses is made up for, and not served', async () => {
  const { keyv } = setup();
  keyv.on('error', () => {});
  let version = 0;
  const cache = new TieredCache<number>({
    ttl: '1h',
    memory: false,
    storage: keyvStorage(keyv),
    upstream: () => (version += 1),
  });
  expect([await cache.get('k'), await cache.idle()]).toEqual([1, undefined]);
  const backend = vi.spyOn(keyv.store as KeyvMemoryAdapter, 'delete').mockRejectedValue(new Error('backend'));

  await cache.invalidate('k');

  expect(backend).toHaveBeenCalled();
  expect(await cache.get('k')).toBe(2);
  backend.mockRestore();
  await cache.close();
});

test('a thousand calls at once add one listener, and leave none', async () => {
  const { keyv, storage } = setup();
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const on = vi.spyOn(keyv, 'on');

  await Promise.all(Array.from({ length: 1_000 }, (_, number) => storage.get(`k${number}`)));

  expect(warn).not.toHaveBeenCalled();
  expect(on).toHaveBeenCalledTimes(1);
  expect(keyv.listeners('error')).toEqual([]);
});

test('a write that Keyv refuses without an error is an error', async () => {
  const { keyv, storage } = setup();
  vi.spyOn(keyv, 'set').mockResolvedValue(false);
  vi.spyOn(keyv, 'setMany').mockResolvedValue([true, false]);

  await expect(storage.set('k', ENTRY, Infinity)).rejects.toThrow(/refused/);
  await expect(storage.setMany?.([{ key: 'k', entry: ENTRY, keepUntil: Infinity }])).rejects.toThrow(/refused/);
});

describe('the time to live', () => {
  test('is what the entry could be of use when it was new, and never shorter', async () => {
    const { keyv, storage } = setup();
    const set = vi.spyOn(keyv, 'set');

    await storage.set('a', ENTRY, ENTRY.errorUntil);
    await storage.set('b', { ...ENTRY, createdAt: AT - 0.5 }, AT + 60_000);
    await storage.set('c', ENTRY, ENTRY.createdAt - 5);

    expect(set.mock.calls.map(([, , ttl]) => ttl)).toEqual([30_900, 60_001, 1]);
  });

  test('is none for what is kept for ever, even where the Keyv has a default', async () => {
    const { map, storage } = setup({ ttl: 1 });

    await storage.set('alone', ENTRY, Infinity);
    await storage.setMany?.([{ key: 'together', entry: ENTRY, keepUntil: Infinity }]);

    expect([...map.values()].map(({ expires }) => expires)).toEqual([undefined, undefined]);
  });

  test('is the last one of two writes of one key in one call', async () => {
    const { map, storage } = setup();
    const later = { ...ENTRY, value: 'later' };

    await storage.setMany?.([
      { key: 'k', entry: ENTRY, keepUntil: AT + 1 },
      { key: 'k', entry: later, keepUntil: Infinity },
    ]);

    expect(map.get('kk')?.expires).toBeUndefined();
    expect(await storage.get('k')).toEqual(later);
  });
});

describe('what is under our key and is not ours', () => {
  test.each<[string, unknown]>([
    ['text', 'hello'],
    ['an object', { value: 1 }],
    ['null', null],
    ['a later version', 'soloflight/2 ["json"]\n1'],
    ['an entry of another codec', 'soloflight/1 ["other","text",1,1,2,3,4,5,0,[]]\n1'],
  ])('is a miss, alone and among others, and is left alone: %s', async (_name, value) => {
    const { keyv, storage } = setup();
    await keyv.set('kforeign', value);
    await storage.set('ours', ENTRY, Infinity);

    await expect(storage.get('foreign')).rejects.toMatchObject(UNDECODABLE);
    expect(await storage.getMany?.(['foreign', 'ours'])).toEqual([undefined, ENTRY]);
    expect(await keyv.get('kforeign')).toEqual(value);
  });

  test.each([true, false])('is a miss also where Keyv itself can not read it (listened to: %s)', async (listened) => {
    const { map, keyv, storage } = setup();
    if (listened) keyv.on('error', () => {});
    map.set('kbroken', { value: '{' });
    await storage.set('ours', ENTRY, Infinity);

    await expect(storage.get('broken')).rejects.toMatchObject(UNDECODABLE);
    expect(await storage.getMany?.(['broken', 'ours', 'missing'])).toEqual([undefined, ENTRY, undefined]);
    expect(map.get('kbroken')).toEqual({ value: '{' });
  });
});

describe('namespaces', () => {
  test('do not run into each other, whatever the keys', async () => {
    const map = new Map();
    const one = keyvStorage(new Keyv(map, { namespace: 'a' }));
    const other = keyvStorage(new Keyv(map, { namespace: 'a::k' }));

    await one.set('k::b', { ...ENTRY, value: 1 }, Infinity);
    await one.set('::kb', { ...ENTRY, value: 1 }, Infinity);
    await other.set('b', { ...ENTRY, value: 2 }, Infinity);

    expect([(await one.get('k::b'))?.value, (await one.get('::kb'))?.value, (await other.get('b'))?.value]).toEqual([
      1, 1, 2,
    ]);
  });

  test('are cleared on their own; without one there is no clear', async () => {
    const map = new Map();
    const one = keyvStorage(new Keyv(map, { namespace: 'a' }));
    const other = keyvStorage(new Keyv(map, { namespace: 'b' }));
    for (const storage of [one, other]) await storage.set('k', ENTRY, Infinity);

    await one.clear?.();

    expect([await one.get('k'), await other.get('k')]).toEqual([undefined, ENTRY]);
    expect('clear' in keyvStorage(new Keyv(map))).toBe(false);
  });
});

test('keys that differ in case, accents or length stay apart in a backend that ignores these', async () => {
  const storage = keyvStorage(new Keyv(new KeyvSqlite(':memory:')));
  const keys = ['user', 'User', 'USER', 'x'.repeat(999), 'X'.repeat(999), 'é', 'e\u0301'];

  for (const [value, key] of keys.entries()) await storage.set(key, { ...ENTRY, value }, Infinity);

  expect((await storage.getMany?.(keys))?.map((entry) => entry?.value)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test('a cache goes on after a restart on the same file, with a value of megabytes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const value = new Map([['bytes', new Uint8Array(3_000_000).fill(7)]]);
  let loads = 0;
  const session = async (): Promise<unknown> => {
    const backend = new KeyvSqlite(join(directory, 'cache.db'));
    const storage = keyvStorage(new Keyv(backend), { codec: structuredCloneCodec });
    const cache = new TieredCache<unknown>({ ttl: Infinity, storage, upstream: () => ((loads += 1), value) });
    const got = await cache.get('k');
    await cache.close();
    await backend.disconnect();
    return got;
  };

  expect([await session(), await session(), loads]).toStrictEqual([value, value, 1]);
});

test('a cache counts what Keyv can not read as a miss, not as a failing tier', async () => {
  const { map, storage } = setup();
  for (let key = 0; key < 9; key += 1) map.set(`kk${key}`, { value: '{' });
  const cache = new TieredCache<string>({ ttl: '1h', storage, upstream: (key) => `loaded ${key}` });
  const [one, many] = [vi.spyOn(storage, 'get'), vi.spyOn(storage, 'getMany' as 'get')];

  for (let key = 0; key < 9; key += 1) expect(await cache.get(`k${key}`)).toBe(`loaded k${key}`);

  expect([...one.mock.calls, ...many.mock.calls].flat(2)).toEqual(expect.arrayContaining(['k0', 'k8']));
  await cache.close();
});

test('an open Keyv stays open when the cache is closed', async () => {
  const { keyv, storage } = setup();
  const disconnect = vi.spyOn(keyv, 'disconnect');

  await new TieredCache<string>({ ttl: '1h', storage, upstream: () => 'v' }).close();

  expect(disconnect).not.toHaveBeenCalled();
});

test.each<[unknown, unknown, RegExp]>([
  [undefined, {}, /`keyv`/],
  [new Map(), {}, /`keyv`/],
  [new Keyv(), null, /`options`/],
  [new Keyv(), { codec: { name: 'x' } }, /`codec`/],
])('misuse is refused at once (%#)', (keyv, options, message) => {
  expect(() => keyvStorage(keyv as KeyvLike, options as { codec: Codec })).toThrow(message);
});
