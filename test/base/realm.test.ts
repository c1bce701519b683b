import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { isSoloflightError, keyOf, SoloflightError, TieredCache } from '../../src/index.js';

/** What `code` gives in another realm, as under Jest or in an iframe. */
function foreign(code: string): unknown {
  return runInNewContext(`(${code})`);
}

describe('an object of another realm', () => {
  test.each<[string, unknown]>([
    ['[1, { a: "b" }]', [1, { a: 'b' }]],
    ['new Date(5)', new Date(5)],
    ['/a\\/b/gi', /a\/b/gi],
    ['new Map([["a", new Set([1])]])', new Map([['a', new Set([1])]])],
    ['new Set([[1], [2]])', new Set([[1], [2]])],
    ['Uint8Array.of(1, 2)', Uint8Array.of(1, 2)],
    ['new DataView(new ArrayBuffer(2))', new DataView(new ArrayBuffer(2))],
    ['Uint8Array.of(1, 2).buffer', Uint8Array.of(1, 2).buffer],
    ['Object.create(null)', {}],
  ])('has the key that it has here: %s', (code, here) => {
    expect(keyOf(foreign(code))).toBe(keyOf(here));
    expect(keyOf({ in: [foreign(code)] })).toBe(keyOf({ in: [here] }));
  });

  test.each([
    ...['new (class extends Map {})()', 'new (class Point { x = 1 })()', 'Promise.resolve()', 'new Error("e")'],
    ...['new (class extends Array {})()', 'Object.create({})', 'new WeakMap()', '() => 1'],
  ])('has no key where it would have none here: %s', (code) => {
    expect(() => keyOf(foreign(code))).toThrow(TypeError);
  });

  test('is an argument of a wrapped function', async () => {
    const cache = new TieredCache<unknown>({ ttl: '1m' });
    const asked: unknown[] = [];
    const load = cache.wrap((filter: unknown) => asked.push(filter), { name: 'load' });

    await load(foreign('{ from: new Date(1) }'));
    await load({ from: new Date(1) });

    expect(asked).toHaveLength(1);
  });

  test('is the result of loadMany, and an error in it is one', async () => {
    const map = new TieredCache<number | undefined>({
      ttl: '1m',
      loadMany: () => foreign('new Map([["a", 1]])') as Map<string, number>,
    });
    const list = new TieredCache<number>({
      ttl: '1m',
      loadMany: () => foreign('[1, new RangeError("far")]') as number[],
    });

    const outcomes = await list.lookupMany(['a', 'b']);

    expect(await map.getMany(['a', 'b'])).toEqual([1, undefined]);
    expect(outcomes.map((outcome) => 'error' in outcome && String(outcome.error))).toContain('RangeError: far');
  });

  test('is a soloflight error wherever it was made', () => {
    const brand = { error: new SoloflightError('SOLOFLIGHT_TEST', 'x'), isSoloflightError };

    expect(runInNewContext('isSoloflightError(error, "SOLOFLIGHT_TEST")', brand)).toBe(true);
    expect(
      isSoloflightError(
        foreign('Object.assign(new Error(), { [Symbol.for("soloflight.error")]: true, code: "SOLOFLIGHT_CONTENDED" })'),
        'SOLOFLIGHT_CONTENDED',
      ),
    ).toBe(true);
    expect(isSoloflightError(foreign('new Error()'))).toBe(false);
  });
});

describe('an object of a subclass', () => {
  class Kilometres extends Map<number, number> {
    readonly #unit = 'km';
    get unit(): string {
      return this.#unit;
    }
  }

  test.each<[string, unknown]>([
    ['Map', new Kilometres([[1, 2]])],
    ['Set', new (class Tags extends Set<number> {})([1])],
    ['Date', new (class Day extends Date {})(5)],
    ['URL', new (class Link extends URL {})('https://a.example/')],
    ['Array', class List extends Array<number> {}.from([1])],
    ['RegExp', new (class Pattern extends RegExp {})('a')],
    ['Uint8Array', new (class Bytes extends Uint8Array {})(2)],
    ['ArrayBuffer', new (class Memory extends ArrayBuffer {})(2)],
    ['a class named like a built-in', new (class Map extends globalThis.Map<number, number> {})()],
    ['a prototype put in by hand', Object.setPrototypeOf(new Map(), Object.create(Map.prototype) as object)],
    ['a map that is none', Object.create(Map.prototype)],
    ['a date that is none', Object.create(Date.prototype)],
  ])('of %s has no key: it would be that of a plain one', (_name, value) => {
    expect(() => keyOf(value)).toThrow(TypeError);
    expect(() => keyOf([{ value }])).toThrow(TypeError);
  });

  test.each<[string, object]>([
    ['a map', Object.assign(new Map(), { unit: 'km' })],
    ['a set', Object.assign(new Set(), { unit: 'km' })],
    ['a date', Object.assign(new Date(), { zone: 'UTC' })],
    ['an array', Object.assign([1], { total: 3 })],
    ['an empty array', Object.assign([], { total: 3 })],
    ['a match', /a/.exec('a')!],
  ])('and %s with properties of its own has none either', (_name, value) => {
    expect(() => keyOf(value)).toThrow(TypeError);
  });

  test('of Uint8Array that Node calls Buffer has a key of its own', () => {
    expect(keyOf(Buffer.from('ab'))).toBe(keyOf(Buffer.from('ab')));
    expect(keyOf(Buffer.from('ab'))).not.toBe(keyOf(new TextEncoder().encode('ab')));
  });

  test('does not decide with methods of its own', () => {
    const lying = new Map([['a', 1]]);
    Object.defineProperty(lying, Symbol.iterator, { value: () => [].values() });

    expect(keyOf(lying)).toBe(keyOf(new Map([['a', 1]])));
  });
});
