import { Readable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { noMemory, TieredCache } from '../../src/index.js';

const ONCE: readonly [string, () => unknown, string][] = [
  ['a response', () => new Response('x'), '`value` to be something that several callers can read, not a Response'],
  ['a request', () => new Request('https://a.example/'), 'not a Response or Request'],
  ['a stream', () => new Response('x').body, 'not a stream'],
  ['a stream of Node', () => Readable.from(['x']), 'not a stream'],
  ['a stream to write to', () => new WritableStream(), 'not a stream'],
  [
    'a generator',
    () =>
      (function* one() {
        yield 1;
      })(),
    'not an iterator',
  ],
  [
    'an async generator',
    () =>
      (async function* one() {
        yield 1;
      })(),
    'not an iterator',
  ],
  ['an iterator of a map', () => new Map([[1, 2]]).entries(), 'not an iterator'],
  ['a response among other things', () => ({ page: [{ body: new Response('x') }] }), '`value.page[0].body`'],
  [
    'a promise in an object',
    () => ({ user: Promise.resolve(1) }),
    '`value.user` to be something that several callers can read, not a promise',
  ],
  ['a stream in a map', () => ({ parts: new Map([['a', new Blob(['x']).stream()]]) }), '`value.parts (a member)`'],
];

describe('a value that only one caller could read', () => {
  test.each(ONCE)('is refused from a load, and the error says what to do: %s', async (_name, make, message) => {
    const cache = new TieredCache<unknown>({ ttl: '1m', upstream: () => make() });
    const uncached = new TieredCache<unknown>({ ttl: 0, memory: noMemory(), upstream: () => make() });

    await expect(cache.get('k')).rejects.toThrow(message);
    await expect(cache.getOrLoad('other', () => make())).rejects.toThrow(TypeError);
    await expect(uncached.get('k')).rejects.toThrow(/: keep what is in it, as by `/);
    expect(cache.peek('k')).toBeUndefined();
  });

  test.each(ONCE)('is refused by set: %s', async (_name, make) => {
    const cache = new TieredCache<unknown>({ ttl: '1m', isolate: 'clone' });

    await expect(cache.set('k', make())).rejects.toThrow(/to be something that several callers can read/);
  });
});

describe('a value that all callers can read', () => {
  class Node {
    next: Node | undefined;
    clone(): Node {
      return new Node();
    }
  }

  test.each<[string, unknown]>([
    ['a blob', new Blob(['x'])],
    ['headers', new Headers({ a: 'b' })],
    ['a map', new Map([['a', [1]]])],
    ['an item of a linked list', new Node()],
    ['an object with functions', { next: () => 1, then: 1, close: () => {} }],
    ['bytes', Buffer.from('x')],
    ['a class with a method called clone', { inner: new Node() }],
  ])('is taken as it is: %s', async (_name, value) => {
    const cache = new TieredCache<unknown>({ ttl: '1m', upstream: () => value });

    expect(await cache.get('k')).toBe(value);
  });

  test('costs no more to look at however large it is', async () => {
    let looked = 0;
    const item = (): object => Object.defineProperty({}, 'a', { enumerable: true, get: () => (looked += 1) });
    const cache = new TieredCache<unknown>({ ttl: '1m', upstream: () => Array.from({ length: 10_000 }, item) });

    await cache.get('k');

    expect(looked).toBeLessThan(200);
  });

  test('costs no more to look at however many plain items it has, and no list of them is made', async () => {
    let [reads, lists] = [0, 0];
    const value = new Proxy(
      Array.from({ length: 100_000 }, (_, index) => index),
      {
        get: (target, name) => {
          reads += 1;
          return Reflect.get(target, name) as unknown;
        },
        ownKeys: (target) => {
          lists += 1;
          return Reflect.ownKeys(target);
        },
      },
    );
    const cache = new TieredCache<unknown>({ ttl: '1m', upstream: () => value });

    await cache.get('k');

    expect(reads).toBeLessThan(1_000);
    expect(lists).toBe(0);
  });

  test('may contain itself', async () => {
    const value: Record<string, unknown> = { list: [] };
    value['self'] = value;
    (value['list'] as unknown[]).push(value);
    const cache = new TieredCache<unknown>({ ttl: '1m', upstream: () => value });

    expect(await cache.get('k')).toBe(value);
  });
});
