import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { workersKvStorage, type WorkersKv } from '../../../src/cloudflare/index.js';
import { gzip, structuredCloneCodec } from '../../../src/codecs/index.js';
import { isSoloflightError, type Entry, type StorageTier } from '../../../src/index.js';
import { storageSuite } from '../../../src/testing/index.js';
import { waitPatiently } from '../../support/patience.js';

waitPatiently();

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const cannot = {
  references: false,
  deleteReports: false,
  setMany: false,
  deleteMany: false,
  setIfNewer: false,
  clear: false,
  sweep: false,
  close: false,
  keys: true,
};

const prefixes = new Map<StorageTier, string>();

function openAt(prefix: string): StorageTier {
  const tier = workersKvStorage(env.KV, { prefix });
  prefixes.set(tier, prefix);
  return tier;
}

describe('a KV namespace', () => {
  storageSuite(runner, {
    open: () => openAt(`suite-${prefixes.size}`),
    supports: { ...cannot, reopen: (tier) => openAt(prefixes.get(tier)!) },
  });
});

describe('a KV namespace, with bytes of a codec that takes its time', () => {
  let opened = 0;
  const codec = gzip(structuredCloneCodec, { above: 64 });
  storageSuite(runner, {
    open: () => workersKvStorage(env.KV, { prefix: `bytes-${(opened += 1)}`, codec }),
    supports: { ...cannot, binary: true },
  });
});

function entryOf(value: unknown, windows: Partial<Entry> = {}): Entry {
  const createdAt = Date.now();
  return {
    value,
    startedAt: createdAt - 5,
    createdAt,
    freshUntil: createdAt + 1_000,
    staleUntil: createdAt + 1_000,
    errorUntil: createdAt + 1_000,
    loadMs: 5,
    tags: ['t'],
    meta: undefined,
    ...windows,
  };
}

/** What the namespace knows of the only key under `prefix`, without reading its value. */
async function listed(prefix: string) {
  const { keys } = await env.KV.list({ prefix: `${prefix}:` });
  expect(keys).toHaveLength(1);
  return keys[0]!;
}

test('an entry that lives for a second is kept for the minute that KV asks for', async () => {
  const entry = entryOf('v');
  const tier = workersKvStorage(env.KV, { prefix: 'short' });
  await tier.set('k', entry, entry.errorUntil);
  expect((await listed('short')).expiration).toBeGreaterThanOrEqual(Math.floor(entry.createdAt / 1_000) + 59);
  await expect(tier.get('k')).resolves.toEqual(entry);
});

test('an entry that lives longer is dropped by KV when it is of no more use', async () => {
  const createdAt = Date.now();
  const entry = entryOf('v', { createdAt, errorUntil: createdAt + 3_600_500 });
  await workersKvStorage(env.KV, { prefix: 'long' }).set('k', entry, entry.errorUntil);
  const { expiration } = await listed('long');
  const listedAt = Date.now();
  expect(expiration).toBeGreaterThanOrEqual(Math.floor((createdAt + 3_600_500) / 1_000));
  // KV counts whole seconds from when it is told.
  expect(expiration).toBeLessThanOrEqual(Math.ceil(listedAt / 1_000) + 3_601);
});

test('listing tells the instants of entries without reading them', async () => {
  const entry = entryOf('v', { errorUntil: Infinity });
  await workersKvStorage(env.KV, { prefix: 'listed' }).set('k', entry, Infinity);
  const { startedAt, createdAt, freshUntil, staleUntil } = entry;
  expect(await listed('listed')).toMatchObject({
    name: 'listed:kk',
    metadata: { startedAt, createdAt, freshUntil, staleUntil, errorUntil: null },
  });
});

test('no key is too long for KV', async () => {
  const tier = workersKvStorage(env.KV, { prefix: 'p'.repeat(60) });
  const key = '🗝'.repeat(5_000);
  await tier.set(key, entryOf('v'), Infinity);
  await expect(tier.get(key)).resolves.toMatchObject({ value: 'v' });
  expect((await listed('p'.repeat(60))).name.length).toBeLessThanOrEqual(512);
});

test('an entry of more than 25 MiB is refused with a clear error, one just below is not', async () => {
  const tier = workersKvStorage(env.KV, { prefix: 'large' });
  const fits = 'é'.repeat(13_107_000);
  await tier.set('k', entryOf(fits), Infinity);
  expect((await tier.get('k'))?.value).toBe(fits);

  const refusal: unknown = await Promise.resolve(
    tier.set('k', entryOf(`${fits}éééé${'é'.repeat(200)}`), Infinity),
  ).catch((error: unknown) => error);
  expect(isSoloflightError(refusal, 'SOLOFLIGHT_VALUE_TOO_LARGE')).toBe(true);
  expect((refusal as Error).message).toMatch(/takes 262\d{5} bytes, and Workers KV stores no more than 26214400/);
});

test('more keys than one call takes are read in several, each once', async () => {
  const calls: (string | string[])[] = [];
  const kv = new Proxy(env.KV, {
    get:
      (target, method: 'get' | 'put' | 'delete') =>
      (keys: string | string[], ...rest: unknown[]) => {
        if (method === 'get') calls.push(keys);
        return (target[method] as (...args: unknown[]) => unknown)(keys, ...rest);
      },
  }) as unknown as WorkersKv;
  const tier = workersKvStorage(kv, { prefix: 'many' });
  await Promise.all(Array.from({ length: 101 }, (_, key) => tier.set(`${key}`, entryOf(key), Infinity)));
  const keys = Array.from({ length: 101 }, (_, key) => `${key}`);
  const entries = await tier.getMany!([...keys, '7', 'absent']);
  expect(entries.map((entry) => entry?.value)).toEqual([...keys.map(Number), 7, undefined]);
  expect(calls.map((call) => call.length)).toEqual([100, 2]);
});

test('keys are read one by one where they can not be read together', async () => {
  const kv: WorkersKv = {
    get: ((key: string | string[], type: 'text') =>
      Array.isArray(key) ? Promise.reject(new Error('413')) : env.KV.get(key, type)) as WorkersKv['get'],
    put: (key, value, options) => env.KV.put(key, value, options),
    delete: (key) => env.KV.delete(key),
  };
  const tier = workersKvStorage(kv, { prefix: 'one-by-one' });
  await tier.set('a', entryOf(1), Infinity);
  await expect(tier.getMany!(['a', 'b'])).resolves.toMatchObject([{ value: 1 }, undefined]);
});

test.each([
  [undefined, {}, 'Expected `kv` to be a KV namespace: is the binding in the configuration?, got `undefined`'],
  [new Map(), {}, 'Expected `kv` to be a KV namespace'],
  ['KV', null, 'Expected `options` to be an object, got `null`'],
  [
    'KV',
    { prefix: 'A:B' },
    "Expected `prefix` to be a name of 1 to 60 lower-case letters, digits, `-` and `_`, got `'A:B'`",
  ],
  ['KV', { codec: {} }, 'Expected `codec` to be a codec'],
])('misuse is told at once: %s, %s', (kv, options, message) => {
  const given = kv === 'KV' ? env.KV : kv;
  expect(() => workersKvStorage(given as WorkersKv, options as never)).toThrow(message);
});
