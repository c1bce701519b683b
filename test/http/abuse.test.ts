import { describe, expect, test } from 'vitest';

import {
  byteRanges,
  cachedFetch,
  cachedHandler,
  fetchUpstream,
  type CachedFetchOptions,
} from '../../src/http/index.js';

describe('an option that makes no sense', () => {
  test.for<[object, string]>([
    [{ shraed: true }, 'Expected `options` to be without unknown names (known: cache, shared,'],
    [{ shared: 'yes' }, "Expected `shared` to be a boolean, got `'yes'` (string)"],
    [{ maxBodySize: -1 }, 'Expected `maxBodySize` to be an integer ≥ 0 or Infinity, got `-1` (number)'],
    [{ methods: ['POST'] }, "Expected `methods` to be an array of 'GET' and 'HEAD', got"],
    [{ name: 'naïve' }, "Expected `name` to be printable ASCII text, or false, got `'naïve'` (string)"],
    [{ key: 'url' }, "Expected `key` to be a function, got `'url'` (string)"],
    [{ fetch: 1 }, 'Expected `fetch` to be a function, got `1` (number)'],
    [{ defaultTtl: 'soon' }, 'Expected `defaultTtl` to be'],
    [{ targeted: ['no field'] }, 'Expected `targeted` to be a boolean or an array of field names, got'],
    [{ cache: 1 }, 'Expected `cache` to be an object, got `1` (number)'],
    [{ cache: { tll: 1 } }, 'Expected `options` to be without unknown names'],
    [
      { cache: { staleIfError: '1h' } },
      "Expected `cache.staleIfError` to be absent, since it does nothing here: use `defaultStaleIfError`, got `'1h'` (string)",
    ],
    [{ cache: { ttl: 0 } }, 'Expected `cache.ttl` to be absent, since it does nothing here: use `defaultTtl`, got `0`'],
    [{ cache: { staleWhileRevalidate: 1 } }, 'use `defaultStaleWhileRevalidate`'],
    [{ cache: { tags: ['a'] } }, 'use `prefixTags`'],
    [{ cache: { upstream: () => 1 } }, 'use `fetch`'],
    [{ cache: { loadMany: () => 1 } }, 'use `fetch`'],
    [{ cache: { absentTtl: 1 } }, 'use `defaultTtl`'],
    [{ cache: { jitter: 0.1 } }, 'use `defaultTtl`'],
    [{ cache: { refreshAhead: 0.8 } }, 'use `defaultStaleWhileRevalidate`'],
    [{ cache: { softTimeout: 1 } }, 'use `defaultStaleWhileRevalidate`'],
    [{ defaultStaleIfError: -1 }, 'Expected `defaultStaleIfError` to be'],
    [{ clientCacheControl: false }, "Expected `clientCacheControl` to be 'respect' or 'ignore', got `false` (boolean)"],
    [{ lifetime: '1m' }, 'Expected `lifetime` to be a function'],
    [{ use: {} }, 'Expected `use` to be an array of features, such as `byteRanges()`'],
    [{ use: [byteRanges] }, 'Expected `use` to be an array of features'],
    [{ clock: {} }, 'Expected `clock` to be a clock'],
  ])('%j is refused at once, by name', ([options, message]) => {
    expect(() => cachedFetch(options as CachedFetchOptions)).toThrow(TypeError);
    expect(() => cachedFetch(options as CachedFetchOptions)).toThrow(message);
  });

  test('of the other faces is refused as well', async () => {
    expect(() => cachedHandler(undefined as never)).toThrow('Expected `handler` to be a function');
    expect(() => cachedHandler(() => new Response(), { fetch } as never)).toThrow('unknown names');
    expect(() => fetchUpstream({ uri: '' } as never)).toThrow('unknown names');
    await expect(cachedFetch().invalidatePrefix('http://a/')).rejects.toThrow('Expected `prefixTags` to be true');
    await expect(cachedFetch().invalidate('nowhere')).rejects.toThrow('Expected `request` to be an http(s) URL');
  });

  test('returned by `lifetime` fails the request', async () => {
    const fetch = cachedFetch({ fetch: async () => new Response(), lifetime: () => 'soon' as never });

    await expect(fetch('http://origin/')).rejects.toThrow('Expected `lifetime` to be');
  });

  test('returned by `key` fails the request', async () => {
    const fetch = cachedFetch({ fetch: async () => new Response(), key: () => 1 as never });

    await expect(fetch('http://origin/')).rejects.toThrow(
      'Expected `key` to be a function that returns a string or undefined',
    );
  });
});
