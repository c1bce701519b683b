import { describe, expect, test } from 'vitest';

import { cacheApiStorage, type CacheLike } from '../../../src/cloudflare/index.js';
import { gzip, structuredCloneCodec } from '../../../src/codecs/index.js';
import { TieredCache, type Entry, type StorageTier } from '../../../src/index.js';
import { storageSuite } from '../../../src/testing/index.js';
import { waitPatiently } from '../../support/patience.js';

waitPatiently();

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const cannot = {
  references: false,
  getMany: false,
  setMany: false,
  deleteMany: false,
  setIfNewer: false,
  clear: false,
  sweep: false,
  close: false,
};

const bases = new Map<StorageTier, string>();

function openAt(base: string): StorageTier {
  const tier = cacheApiStorage(caches.default, { base });
  bases.set(tier, base);
  return tier;
}

describe('the default cache', () => {
  storageSuite(runner, {
    open: () => openAt(`https://suite.invalid/${bases.size}`),
    supports: { ...cannot, reopen: (tier) => openAt(bases.get(tier)!) },
  });
});

describe('a named cache, with bytes of a codec that takes its time', () => {
  let opened = 0;
  const codec = gzip(structuredCloneCodec, { above: 64 });
  storageSuite(runner, {
    open: async () => cacheApiStorage(await caches.open(`named-${(opened += 1)}`), { codec }),
    supports: { ...cannot, binary: true },
  });
});

function entryOf(value: unknown, windows: Partial<Entry> = {}): Entry {
  const createdAt = Date.now();
  return {
    value,
    startedAt: createdAt - 5,
    createdAt,
    freshUntil: createdAt + 10_000,
    staleUntil: createdAt + 20_000,
    errorUntil: createdAt + 60_000,
    loadMs: 5,
    tags: [],
    meta: undefined,
    ...windows,
  };
}

test.each([
  ['all of its windows', (at: number) => at + 60_000, 'max-age=60'],
  ['whole seconds', (at: number) => at + 60_001, 'max-age=61'],
  ['a second at least', (at: number) => at, 'max-age=1'],
  ['a year at most', () => Infinity, 'max-age=31536000'],
])('an entry is cached for %s', async (_what, keepUntil, expected) => {
  const entry = entryOf('v');
  await cacheApiStorage(caches.default, { base: 'https://age.invalid' }).set('A b', entry, keepUntil(entry.createdAt));
  const response = await caches.default.match('https://age.invalid/k_41_20b');
  expect(response?.headers.get('cache-control')).toBe(expected);
  await response?.arrayBuffer();
});

test('an entry is read back with its original age, by whoever comes next', async () => {
  let loads = 0;
  const build = (): TieredCache<number> =>
    new TieredCache({ ttl: '1m', storage: cacheApiStorage(caches.default), upstream: () => (loads += 1) });
  const first = build();
  await first.get('shared');
  await first.idle();
  const story = await build().lookup('shared');
  expect(story).toMatchObject({ value: 1, status: 'hit', tier: 'cache-api' });
});

test.each([
  [undefined, {}, 'Expected `cache` to be a `Cache`, for example `caches.default`, got `undefined`'],
  [new Map(), {}, 'Expected `cache` to be a `Cache`'],
  ['default', null, 'Expected `options` to be an object, got `null`'],
  [
    'default',
    { base: 'soloflight' },
    "Expected `base` to be an http or https URL without query or fragment, got `'soloflight'`",
  ],
  ['default', { base: 'https://a.invalid/?q' }, 'Expected `base`'],
  ['default', { base: 'https://' }, 'Expected `base`'],
  ['default', { codec: {} }, 'Expected `codec` to be a codec'],
])('misuse is told at once: %s, %s', (cache, options, message) => {
  const given = cache === 'default' ? caches.default : cache;
  expect(() => cacheApiStorage(given as CacheLike, options as never)).toThrow(message);
});
