import { Readable } from 'node:stream';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { cachedFetch, fetchUpstream, HttpStatusError } from '../../src/http/index.js';
import { TieredCache } from '../../src/index.js';

const URL = 'http://origin/';
const minute = { 'cache-control': 'max-age=60' };

/** A `fetch` as of `node-fetch`: bodies are streams of Node, and headers have no `getSetCookie`. */
function nodeFetch(init: ResponseInit & { readonly chunks?: readonly string[] }): typeof fetch {
  return async () => {
    const { status, statusText, headers } = new Response(null, init);
    const body = Readable.from((init.chunks ?? ['hel', '', 'lo']).map((chunk) => Buffer.from(chunk)));
    const fields = {
      get: (name: string) => headers.get(name),
      raw: () => ({ 'set-cookie': headers.getSetCookie() }),
      [Symbol.iterator]: () => headers[Symbol.iterator](),
    };
    return { status, statusText, headers: fields, body, url: URL, redirected: false } as never;
  };
}

afterEach(() => void vi.unstubAllGlobals());

describe('a fetch whose bodies are streams of Node', () => {
  test.for([minute, { 'cache-control': 'private' }])('answers (%j)', async (headers) => {
    const fetch = cachedFetch({ fetch: nodeFetch({ headers }) });

    const responses = await Promise.all([fetch(URL), fetch(URL), fetch(URL, { method: 'POST' })]);

    expect(await Promise.all(responses.map((response) => response.text()))).toEqual(['hello', 'hello', 'hello']);
    expect(responses.map(({ url }) => url)).toEqual([URL, URL, URL]);
  });

  test('keeps its cookies apart', async () => {
    const headers: [string, string][] = [
      ['set-cookie', 'a=1; Expires=Tue, 01 Dec 2026 00:00:00 GMT'],
      ['set-cookie', 'b=2'],
    ];
    const fetch = cachedFetch({ fetch: nodeFetch({ headers }) });

    expect((await fetch(URL)).headers.getSetCookie()).toEqual(headers.map(([, cookie]) => cookie));
  });

  test('ends its stream when the caller leaves', async () => {
    const source = Readable.from([Buffer.from('a'), Buffer.from('b')]);
    const fetch = cachedFetch({
      fetch: async () => Object.assign(Object.create(await nodeFetch({})(URL)), { body: source }),
    });

    await (await fetch(URL)).body?.cancel();

    expect(source.destroyed).toBe(true);
  });

  test('is the source of a cache', async () => {
    const cache = (init: Parameters<typeof nodeFetch>[0]): TieredCache<number | undefined> =>
      new TieredCache({ ttl: 0, upstream: fetchUpstream<number>({ url: () => URL, fetch: nodeFetch(init) }) });

    expect(await cache({ chunks: ['4', '2'] }).get('a')).toBe(42);
    await expect(cache({ status: 500 }).get('a')).rejects.toThrow(HttpStatusError);
    expect(await cache({ status: 404 }).get('a')).toBeUndefined();
  });
});

describe('the global fetch', () => {
  test('is the one that is there at the time of the request', async () => {
    const fetch = cachedFetch();
    const posts = new TieredCache({ ttl: 0, upstream: fetchUpstream<number>({ url: () => URL }) });
    vi.stubGlobal('fetch', async () => new Response('1'));

    expect(await (await fetch(URL)).text()).toBe('1');
    expect(await posts.get('a')).toBe(1);
  });

  test('and its classes are left alone when the module is loaded: Node takes 50 ms to load them', async () => {
    const names = ['fetch', 'Headers', 'Request', 'Response', 'FormData'] as const;
    const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)!] as const);
    const touched: string[] = [];
    vi.resetModules();
    try {
      for (const [name] of before)
        Object.defineProperty(globalThis, name, { configurable: true, get: () => void touched.push(name) });
      await import('../../src/http/index.js');
    } finally {
      for (const [name, descriptor] of before) Object.defineProperty(globalThis, name, descriptor);
    }

    expect(touched).toEqual([]);
  });
});
