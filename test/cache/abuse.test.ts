import { describe, expect, test } from 'vitest';

import {
  loaded,
  lruMemory,
  mapStorage,
  sieveMemory,
  Singleflight,
  TieredCache,
  toCacheStatus,
  type Lookup,
} from '../../src/index.js';
import { setupCache } from '../support/setup-cache.js';

const ok = { ttl: 1_000 };

describe('a cache built with an option that makes no sense', () => {
  test.each([
    [undefined, 'Expected `options` to be an object, got `undefined`'],
    [null, 'Expected `options` to be an object, got `null`'],
    [{}, "Expected `ttl` to be set: how long is a value fresh? For example `ttl: '10s'`, got `undefined`"],
    [{ ttl: -1 }, "Expected `ttl` to be a duration ≥ 0 or Infinity (milliseconds or '10s'), got `-1` (number)"],
    [{ ttl: NaN }, 'Expected `ttl` to be a duration'],
    [{ ttl: '10 s' }, "got `'10 s'` (string)"],
    [{ ttl: '-1s' }, 'Expected `ttl` to be a duration'],
    [{ ttl: null }, 'Expected `ttl` to be a duration'],
    [{ ...ok, name: '' }, "Expected `name` to be a non-empty string, got `''` (string)"],
    [{ ...ok, staleWhileRevalidate: 'x' }, 'Expected `staleWhileRevalidate` to be a duration'],
    [{ ...ok, staleIfError: -5 }, 'Expected `staleIfError` to be a duration'],
    [{ ...ok, absentTtl: {} }, 'Expected `absentTtl` to be a duration'],
    [{ ...ok, errorTtl: 'soon' }, 'Expected `errorTtl` to be a duration'],
    [{ ...ok, softTimeout: -1 }, 'Expected `softTimeout` to be a duration'],
    [{ ...ok, maxDuration: 0 }, 'Expected `maxDuration` to be a duration > 0 or Infinity'],
    [{ ...ok, readTimeout: 0 }, 'Expected `readTimeout` to be a duration > 0'],
    [{ ...ok, writeTimeout: 'never' }, 'Expected `writeTimeout` to be a duration > 0'],
    [
      { ...ok, errorBackoff: { initial: '2s', max: '1s' } },
      'Expected `errorBackoff.max` to be at least `errorBackoff.initial`',
    ],
    [{ ...ok, errorBackoff: 5 }, 'Expected `errorBackoff` to be an object'],
    [{ ...ok, maxSubscribers: 0 }, 'Expected `maxSubscribers` to be an integer ≥ 1 or Infinity, got `0` (number)'],
    [{ ...ok, maxFlights: 1.5 }, 'Expected `maxFlights` to be an integer ≥ 1 or Infinity'],
    [{ ...ok, coalesce: 'yes' }, 'Expected `coalesce` to be a boolean or a function'],
    [{ ...ok, memory: {} }, 'Expected `memory` to be a memory tier or false (missing: get, peek, set, delete, clear)'],
    [{ ...ok, storage: new Map() }, 'Expected `storage` to be'],
    [
      { ...ok, storage: [mapStorage(), null] },
      'Expected `storage` to be a storage tier or an array of them. An adapter becomes one by `defineStorage(adapter)`',
    ],
    [{ ...ok, upstream: 'http://…' }, 'Expected `upstream` to be a function'],
    [{ ...ok, defer: true }, 'Expected `defer` to be a function'],
    [{ ...ok, writeBack: 'sync' }, "Expected `writeBack` to be 'defer' or 'await'"],
    [{ ...ok, clock: Date }, 'Expected `clock` to be a clock'],
    [{ ...ok, tags: 'a' }, 'Expected `tags` to be an array of strings'],
    [{ ...ok, asyncContext: {} }, 'Expected `asyncContext` to be an AsyncLocalStorage'],
    [{ ...ok, staleWhileRevalidat: 1 }, 'Expected `options` to be without unknown names'],
  ])('%j is a TypeError: %s', (options, message) => {
    const build = (): unknown => new TieredCache(options as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });
});

describe('a Singleflight built with an option that makes no sense', () => {
  test.each([
    [null, 'Expected `options` to be an object'],
    [{ maxDuration: -1 }, 'Expected `maxDuration` to be a duration > 0 or Infinity'],
    [{ maxSubscribers: -1 }, 'Expected `maxSubscribers` to be an integer ≥ 1'],
    [{ maxFlights: '3' }, "Expected `maxFlights` to be an integer ≥ 1 or Infinity, got `'3'` (string)"],
    [{ onEvent: {} }, 'Expected `onEvent` to be a function'],
    [{ coalesce: null }, 'Expected `coalesce` to be a boolean or a function, got `null`'],
    [{ clock: {} }, 'Expected `clock` to be a clock (missing: now, monotonic, after, random)'],
    [{ maxDurations: 1 }, 'Expected `options` to be without unknown names'],
  ])('%j is a TypeError: %s', (options, message) => {
    const build = (): unknown => new Singleflight(options as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });
});

describe('a call that makes no sense', () => {
  test.each([undefined, null, 1, {}, Symbol('k'), []])(
    'a key of the wrong type rejects at once and leaves no trace: %s',
    async (key) => {
      const { cache, upstream } = setupCache();
      const bad = key as never;
      const calls: Promise<unknown>[] = [
        cache.get(bad),
        cache.lookup(bad),
        cache.getIfCached(bad),
        cache.refresh(bad),
        cache.getOrLoad(bad, () => 'v'),
        cache.set(bad, 'v'),
      ];
      if (!Array.isArray(key)) calls.push(cache.invalidate(bad), cache.expire(bad));

      for (const call of calls) await expect(call).rejects.toThrow(/^Expected `key` to be a string/);

      expect(upstream.count).toBe(0);
      expect(cache.getStats()).toMatchObject({ size: 0, inFlight: 0, misses: 0 });
    },
  );

  test.each([
    [{ maxStale: -1 }, 'Expected `maxStale` to be a duration'],
    [{ timeout: 'x' }, 'Expected `timeout` to be a duration'],
    [{ softTimeout: {} }, 'Expected `softTimeout` to be a duration'],
    [{ signal: 'abort' }, 'Expected `signal` to be an AbortSignal'],
    [{ waitUntil: 1 }, 'Expected `waitUntil` to be a function'],
    [5, 'Expected `options` to be an object'],
    [null, 'Expected `options` to be an object'],
  ])('read options %j reject at once: %s', async (options, message) => {
    const { cache, upstream } = setupCache();

    for (const call of [
      cache.get('k', options as never),
      cache.lookup('k', options as never),
      cache.refresh('k', options as never),
    ]) {
      await expect(call).rejects.toThrow(message);
      await expect(call).rejects.toBeInstanceOf(TypeError);
    }

    expect(upstream.count).toBe(0);
  });

  test('lifetimes that make no sense reject at once, also when the key is cached', async () => {
    const { cache } = setupCache();
    await cache.set('k', 'v');

    await expect(cache.getOrLoad('k', () => 'v', { ttl: -1 })).rejects.toThrow('Expected `ttl`');
    await expect(cache.set('k', 'v', { staleIfError: 'x' as never })).rejects.toThrow('Expected `staleIfError`');
    await expect(cache.getOrLoad('k', 'v' as never)).rejects.toThrow('Expected `upstream` to be a function');

    expect(cache.peek('k')).toBe('v');
  });

  test('work that is not a function rejects at once and leaves no trace', async () => {
    const flights = new Singleflight();

    await expect(flights.execute('k', undefined as never)).rejects.toThrow(
      'Expected `work` to be a function, got `undefined`',
    );
    await expect(flights.execute('k', () => 1, { signal: {} as never })).rejects.toThrow(
      'Expected `signal` to be an AbortSignal',
    );
    await expect(flights.join('k', 5 as never).result).rejects.toThrow(
      'Expected `work` to be a function, got `5` (number)',
    );

    expect(flights.has('k')).toBe(false);
    expect(flights.getStats()).toMatchObject({ led: 0, joined: 0 });
  });

  test('controls, limits and listeners are checked where they are given', () => {
    const { cache } = setupCache();

    expect(() => loaded('v', { ttl: -1 })).toThrow('Expected `ttl`');
    expect(() => loaded('v', { tags: [1] as never })).toThrow('Expected `tags`');
    expect(() => loaded('v', { store: 'no' as never })).toThrow('Expected `store`');
    expect(() => loaded('v', null as never)).toThrow('Expected `control` to be an object');
    expect(() => cache.on('hit', undefined as never)).toThrow('Expected `listener` to be a function');
    expect(() => cache.on('hits' as never, () => {})).toThrow('Expected `type` to be the name of an event');
    expect(() => toCacheStatus({ status: 'hit' } as Lookup<string>, 'naïve')).toThrow(
      'Expected `cacheName` to be printable ASCII text',
    );
  });
});

describe.each([
  ['lruMemory', lruMemory],
  ['sieveMemory', sieveMemory],
])('%s with an option that makes no sense', (_, memory: (options: never) => unknown) => {
  test.each([
    [null, 'Expected `options` to be an object, got `null`'],
    [100, 'Expected `options` to be an object, got `100` (number)'],
    [{ max: 0 }, 'Expected `max` to be an integer ≥ 1, got `0` (number)'],
    [{ max: 1.5 }, 'Expected `max` to be an integer ≥ 1'],
    [{ max: Infinity }, 'Expected `max` to be an integer ≥ 1'],
    [{ max: '10' }, "Expected `max` to be an integer ≥ 1, got `'10'` (string)"],
    [{ max: 16_777_217 }, 'Expected `max` to be at most 16,777,216'],
    [{ max: 2 ** 31 }, 'Expected `max` to be at most 16,777,216, as a Map holds no more, got `2147483648`'],
    [{ ttl: 0 }, 'Expected `ttl` to be a duration > 0 or Infinity'],
    [{ ttl: 'soon' }, "Expected `ttl` to be a duration > 0 or Infinity (milliseconds or '10s'), got `'soon'`"],
    [{ size: 10 }, 'Expected `options` to be without unknown names (known: max, '],
  ])('%j is a TypeError: %s', (options, message) => {
    const build = (): unknown => memory(options as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });
});

test.each<[options: unknown, message: string]>([
  [{ maxSize: 10 }, 'Expected `sizeOf` to be given together with `maxSize`'],
  [{ sizeOf: () => 1 }, 'Expected `sizeOf` to be given together with `maxSize`'],
  [{ sizeOf: 1 }, 'Expected `sizeOf` to be a function'],
  [{ maxSize: 0, sizeOf: () => 1 }, 'Expected `maxSize` to be an integer ≥ 1'],
])('lruMemory with half of what a size needs (%#) is a TypeError: %s', (options, message) => {
  expect(() => lruMemory(options as never)).toThrow(message);
});
