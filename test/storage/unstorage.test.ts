import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createStorage, type Driver } from 'unstorage';
import fsDriver from 'unstorage/drivers/fs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import { TieredCache, type StorageTier } from '../../src/index.js';
import { unstorageStorage, type UnstorageLike } from '../../src/storage/unstorage.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);
const UNDECODABLE = { code: 'SOLOFLIGHT_UNDECODABLE' };

function setup() {
  const under = createStorage();
  return { under, storage: unstorageStorage(under) };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'soloflight-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

describe('a driver that rejects', () => {
  test.each<[string, (storage: StorageTier) => unknown]>([
    ['get', (storage) => storage.get('k')],
    ['getMany', (storage) => storage.getMany?.(['k', 'l'])],
    ['set', (storage) => storage.set('k', ENTRY, Infinity)],
    ['setMany', (storage) => storage.setMany?.([{ key: 'k', entry: ENTRY, keepUntil: Infinity }])],
    ['delete', (storage) => storage.delete('k')],
  ])('makes %s reject', async (_name, call) => {
    const fail = () => Promise.reject(new Error('driver'));
    const driver: Driver = { hasItem: fail, getItem: fail, setItem: fail, removeItem: fail, getKeys: fail };

    await expect(call(unstorageStorage(createStorage({ driver })))).rejects.toThrow('driver');
  });
});

describe('the ttl', () => {
  test('is in whole seconds, a minute at least, never too short, and none for ever', async () => {
    const { under, storage } = setup();
    const set = vi.spyOn(under, 'setItem');
    const setMany = vi.spyOn(under, 'setItems');

    await storage.set('a', ENTRY, ENTRY.createdAt + 100_001);
    await storage.set('b', ENTRY, ENTRY.createdAt + 10);
    await storage.set('c', ENTRY, Infinity);
    await storage.setMany?.([
      { key: 'd', entry: ENTRY, keepUntil: ENTRY.createdAt + 100_001 },
      { key: 'e', entry: ENTRY, keepUntil: Infinity },
    ]);

    expect(set.mock.calls.map(([, , options]) => options)).toEqual([{ ttl: 101 }, { ttl: 60 }, {}]);
    expect(setMany.mock.calls[0]?.[0].map(({ options }) => options)).toEqual([{ ttl: 101 }, {}]);
  });
});

describe('what is under our key and is not ours', () => {
  test.each<[string, unknown]>([
    ['text', 'hello'],
    ['an object', { value: 1 }],
    ['a number', 7],
    ['a later version', 'soloflight/2 ["json"]\n1'],
    ['an entry of another codec', 'soloflight/1 ["other","text",1,1,2,3,4,5,0,[]]\n1'],
  ])('is a miss, alone and among others, and is left alone: %s', async (_name, value) => {
    const { under, storage } = setup();
    await under.setItem('soloflight:kforeign', value as string);
    await storage.set('ours', ENTRY, Infinity);

    await expect(storage.get('foreign')).rejects.toMatchObject(UNDECODABLE);
    expect(await storage.getMany?.(['foreign', 'ours'])).toEqual([undefined, ENTRY]);
    expect(await under.getItem('soloflight:kforeign')).toEqual(value);
  });

  test('is a miss where a file is half written', async () => {
    const base = directory();
    const storage = unstorageStorage(createStorage({ driver: fsDriver({ base }) }));
    await storage.set('number', { ...ENTRY, value: 123_456 }, Infinity);
    const [file] = readdirSync(join(base, 'soloflight'));
    const sealed = readFileSync(join(base, 'soloflight', file!), 'utf8');

    writeFileSync(join(base, 'soloflight', file!), sealed.slice(0, -3));

    await expect(storage.get('number')).rejects.toMatchObject(UNDECODABLE);
  });
});

test('keys can not leave their base, nor reach what lies beside', async () => {
  const { under, storage } = setup();
  await under.setItem('secret', 'theirs');

  for (const key of ['../secret', '..:secret', ':secret', '', 'a?b', 'a:b', 'a/b', 'a\\b', 'a::b', 'a$'])
    await storage.set(key, { ...ENTRY, value: key }, Infinity);

  for (const key of ['../secret', '..:secret', ':secret', '', 'a?b', 'a:b', 'a/b', 'a\\b', 'a::b', 'a$'])
    expect((await storage.get(key))?.value).toBe(key);
  expect(await under.getItem('secret')).toBe('theirs');
  expect((await under.getKeys()).filter((name) => !name.startsWith('soloflight:'))).toEqual(['secret']);
});

test('two bases in one storage do not run into each other', async () => {
  const under = createStorage();
  const one = unstorageStorage(under, { base: 'a' });
  const other = unstorageStorage(under, { base: 'a-b' });

  await one.set('k', { ...ENTRY, value: 1 }, Infinity);
  await other.set('k', { ...ENTRY, value: 2 }, Infinity);

  expect([(await one.get('k'))?.value, (await other.get('k'))?.value]).toEqual([1, 2]);
});

test('values of several mounted drivers are found together, in the order of their keys', async () => {
  const under = createStorage();
  const storage = unstorageStorage(under);
  under.mount('soloflight:ka', createStorage().getMount('').driver);
  const keys = ['b', 'a', 'missing', 'b', 'c'];
  for (const key of keys.slice(0, 2)) await storage.set(key, { ...ENTRY, value: key }, Infinity);

  expect((await storage.getMany?.(keys))?.map((entry) => entry?.value)).toEqual(['b', 'a', undefined, 'b', undefined]);
});

test('of two writes of one key in one call the last one is kept, however long the first one takes', async () => {
  const data = new Map<string, string>();
  const driver: Driver = {
    hasItem: (key) => data.has(key),
    getItem: (key) => data.get(key) ?? null,
    getKeys: () => [...data.keys()],
    async setItem(key, value) {
      if (value.includes('first')) await null;
      data.set(key, value);
    },
  };
  const storage = unstorageStorage(createStorage({ driver }));

  await storage.setMany?.([
    { key: 'k', entry: { ...ENTRY, value: 'first' }, keepUntil: Infinity },
    { key: 'k', entry: { ...ENTRY, value: 'last' }, keepUntil: Infinity },
  ]);

  expect((await storage.get('k'))?.value).toBe('last');
});

test('a cache goes on after a restart on the same directory, with a value of megabytes', async () => {
  const base = directory();
  const value = new Map([['bytes', new Uint8Array(3_000_000).fill(7)]]);
  let loads = 0;
  const session = async (): Promise<unknown> => {
    const storage = unstorageStorage(createStorage({ driver: fsDriver({ base }) }), { codec: structuredCloneCodec });
    const cache = new TieredCache<unknown>({ ttl: Infinity, storage, upstream: () => ((loads += 1), value) });
    const got = await cache.get('users/42?full=1');
    await cache.close();
    return got;
  };

  expect([await session(), await session(), loads]).toStrictEqual([value, value, 1]);
});

test('a storage stays usable when the cache is closed', async () => {
  const { under, storage } = setup();
  const dispose = vi.spyOn(under, 'dispose');

  await new TieredCache<string>({ ttl: '1h', storage, upstream: () => 'v' }).close();

  expect(dispose).not.toHaveBeenCalled();
});

test.each<[unknown, unknown, RegExp]>([
  [undefined, {}, /`storage`/],
  [new Map(), {}, /`storage`/],
  [createStorage(), null, /`options`/],
  [createStorage(), { base: 'A' }, /`base`/],
  [createStorage(), { base: 'a:b' }, /`base`/],
  [createStorage(), { base: '' }, /`base`/],
  [createStorage(), { codec: {} }, /`codec`/],
])('misuse is refused at once (%#)', (storage, options, message) => {
  expect(() => unstorageStorage(storage as UnstorageLike, options as object)).toThrow(message);
});
