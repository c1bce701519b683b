import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import { fc, runs } from '../support/property.js';

function encode(value: unknown): Uint8Array {
  return structuredCloneCodec.encode(value) as Uint8Array;
}

function roundTrip(value: unknown): unknown {
  return structuredCloneCodec.decode(encode(value));
}

describe('a value that structured clone takes', () => {
  const sparse: unknown[] = [1];
  sparse.length = 4_000_000_000;
  const holes: unknown[] = [];
  holes[1] = 1;
  holes[3] = undefined;
  holes.length = 5;
  const named = Object.assign([1, 2, 3], { index: 7, groups: undefined });
  const both = Object.assign([], { 0: 1, 2: 3, index: 7 });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['booleans', [true, false]],
    [
      'numbers',
      [0, -0, 1, -1, 127, 128, -128, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 0.1, 5e-324, NaN, Infinity, -Infinity],
    ],
    ['bigints', [0n, -1n, 2n ** 64n, -(2n ** 200n)]],
    [
      'texts',
      [
        '',
        'a',
        'é',
        '漢',
        '\0',
        '\ufeffb',
        '\ud800',
        'a\udc00b',
        '👩‍👩‍👧',
        'x'.repeat(47),
        'x'.repeat(48),
        'é'.repeat(5_000),
        `\ud83d${'y'.repeat(99)}`,
      ],
    ],
    ['nested objects', { a: { b: [{ c: 1 }, { c: 2 }, { b: 3, a: 4 }] }, '': 0, 'é\ud800': 1 }],
    ['names with a meaning', JSON.parse('{"__proto__":{"x":1},"constructor":1,"toString":2,"length":3}')],
    ['an array with holes', holes],
    ['an array with holes and as many properties', both],
    ['a long array with one element', sparse],
    ['an array with properties', named],
    ['a match', /b(?<x>.)/.exec('abc')],
    ['dates', [new Date(0), new Date(1_700_000_000_123), new Date(NaN)]],
    [
      'maps and sets',
      new Map<unknown, unknown>([
        [{ a: 1 }, new Set([1, 'x', NaN, new Set()])],
        [NaN, new Map()],
      ]),
    ],
    ['a regular expression', /a\/b\n[é]/giu],
    ['buffers', [new ArrayBuffer(0), Uint8Array.of(1, 2, 3).buffer]],
    [
      'views',
      [
        Uint8Array.of(1, 255),
        Float64Array.of(0.1, NaN),
        BigInt64Array.of(-1n),
        new Uint16Array(0),
        Uint8ClampedArray.of(300),
      ],
    ],
    ['a data view', new DataView(Uint8Array.of(9, 8, 7).buffer, 1)],
    ['boxed primitives', [Object(1), Object('x'), Object(true), Object(5n)]],
  ])('comes back the same: %s', (_name, value) => {
    expect(roundTrip(value)).toStrictEqual(structuredClone(value));
  });

  test('comes back as structuredClone gives it, whatever it is made of', () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withUnicodeString: true,
      stringUnit: 'binary',
    } as fc.ObjectConstraints);

    fc.assert(
      fc.property(anything, (value) => {
        expect(roundTrip(value)).toStrictEqual(structuredClone(value));
      }),
      {
        numRuns: runs(500),
      },
    );
  });

  test('keeps circular and shared references, through every kind of container', () => {
    const shared = { x: 1 };
    const root: Record<string, unknown> = { first: shared, second: [shared, new Date(1)] };
    root['self'] = root;
    root['map'] = new Map<unknown, unknown>([[root, shared]]);
    root['set'] = new Set<unknown>([root]);
    root['error'] = new Error('e', { cause: root });
    root['again'] = (root['second'] as unknown[])[1];

    const copy = roundTrip(root) as typeof root & {
      second: unknown[];
      map: Map<unknown, unknown>;
      set: Set<unknown>;
      error: Error;
    };

    expect(copy).not.toBe(root);
    expect(copy['self']).toBe(copy);
    expect(copy['first']).toBe(copy.second[0]);
    expect(copy.map.get(copy)).toBe(copy['first']);
    expect(copy.set.has(copy)).toBe(true);
    expect(copy.error.cause).toBe(copy);
    expect(copy['again']).toBe(copy.second[1]);
  });

  test('keeps the kind, message, stack and cause of an error', () => {
    const error = new RangeError('too far', { cause: 'a' });
    const copy = roundTrip(error) as Error;

    expect(copy).toBeInstanceOf(RangeError);
    expect([copy.message, copy.stack, copy.cause]).toEqual(['too far', error.stack, 'a']);
    expect(Object.keys(copy)).toEqual([]);
    expect(Object.hasOwn(roundTrip(new Error()) as Error, 'cause')).toBe(false);
    expect((roundTrip(new AggregateError([], 'many')) as Error).name).toBe('Error');
  });

  test('keeps no more of a buffer than its view shows', () => {
    const pool = new TextEncoder().encode('secret-visible-secret');
    const copy = roundTrip(pool.subarray(7, 14)) as Uint8Array;

    expect(copy.buffer.byteLength).toBe(7);
    expect(Buffer.from(encode(pool.subarray(7, 14))).includes('secret')).toBe(false);
    expect((roundTrip(Buffer.from('x')) as object).constructor).toBe(Uint8Array);
  });

  test('may come from another realm', () => {
    const foreign = runInNewContext(
      '({ map: new Map([[1, new Date(5)]]), list: [1], re: /x/g, bytes: new Uint8Array(2) })',
    ) as unknown;

    expect(roundTrip(foreign)).toStrictEqual({
      map: new Map([[1, new Date(5)]]),
      list: [1],
      re: /x/g,
      bytes: new Uint8Array(2),
    });
  });

  test('loses its class and its symbols, as with structuredClone', () => {
    class Point {
      readonly x = 1;
      get y(): number {
        return 2;
      }
    }

    expect(roundTrip({ point: new Point(), [Symbol('s')]: 1 })).toStrictEqual({ point: { x: 1 } });
    expect(roundTrip(Object.assign(Object.create(null) as object, { x: 1 }))).toStrictEqual({ x: 1 });
  });

  test('writes names that repeat once', () => {
    const size = (count: number): number =>
      encode(Array.from({ length: count }, (_, id) => ({ identifier: id % 9 }))).length;

    expect(size(101) - size(100)).toBeLessThan(8);
  });
});

describe('a value without a stored form', () => {
  test.each<[string, unknown]>([
    ['a function', { f: () => 1 }],
    ['a symbol', [Symbol('s')]],
    ['a promise', Promise.resolve(1)],
    ['a weak map', new WeakMap()],
    ['a boxed symbol', Object(Symbol('s'))],
    ['shared memory', new SharedArrayBuffer(8)],
    ['an object of the platform', new URL('http://localhost/')],
    ['an iterator', new Map().keys()],
    [
      'an object that claims to be a map',
      {
        __proto__: null,
        get [Symbol.toStringTag]() {
          return 'Map';
        },
      },
    ],
    ['a view of a detached buffer', detachedView()],
    [
      'a getter that throws',
      {
        get x(): never {
          throw new TypeError('getter');
        },
      },
    ],
  ])('is refused: %s', (_name, value) => {
    expect(() => encode(value)).toThrow(TypeError);
  });

  test('is refused when it is nested too deeply, and nothing else happens', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 200_000; level += 1) deep = [deep];

    expect(() => encode(deep)).toThrow(RangeError);
  });
});

describe('a payload that is not one', () => {
  const value = {
    a: [1, 'two', 3.5, new Map([[1, new Set([new Date(1)])]]), /x/, Uint16Array.of(1, 2), new Error('e', { cause: 1 })],
  };

  test('fails at every place where it may be cut off', () => {
    const bytes = encode(value);

    for (let length = 0; length < bytes.length; length += 1)
      expect(() => structuredCloneCodec.decode(bytes.subarray(0, length)), `cut to ${length}`).toThrow(/./);
  });

  test('fails or gives something, with any byte changed, and never hangs or takes much memory', () => {
    const bytes = encode(value);

    for (let at = 0; at < bytes.length; at += 1) {
      for (const byte of [0, 1, 19, 20, 127, 255]) {
        const changed = bytes.slice();
        changed[at] = byte;
        expect(outcomeOf(() => structuredCloneCodec.decode(changed))).toMatch(/^(a value|an error)$/);
      }
    }
  });

  test.each<[string, Uint8Array | string]>([
    ['text', 'text'],
    ['nothing', new Uint8Array()],
    ['another version', Uint8Array.of(2, 1)],
    ['another byte order', Uint8Array.of(129, 1)],
    ['something after the value', Uint8Array.of(1, 1, 1)],
    ['an unknown tag', Uint8Array.of(1, 99)],
    ['an end where a value should be', Uint8Array.of(1, 20)],
    ['an array that claims to be huge', Uint8Array.of(1, 9, 255, 255, 255, 127)],
    ['a text that claims to be huge', Uint8Array.of(1, 7, 254, 255, 255, 255, 255, 127)],
    ['a count that is no safe integer', Uint8Array.of(1, 9, 255, 255, 255, 255, 255, 255, 255, 255, 127)],
    ['a reference to nothing', Uint8Array.of(1, 19, 0)],
    ['a name that was not given', Uint8Array.of(1, 8, 1, 5, 1)],
    ['a text that is not UTF-8', Uint8Array.of(1, 7, 2, 200)],
    ['half a character', Uint8Array.of(1, 7, 3, 65)],
    ['a view of an unknown kind', Uint8Array.of(1, 17, 99, 0)],
    ['a view that its bytes do not fill', Uint8Array.of(1, 17, 4, 1, 0)],
    ['an object in a box', Uint8Array.of(1, 18, 8, 0)],
    ['an error of an unknown kind', Uint8Array.of(1, 15, 99, 0, 0, 2)],
  ])('fails: %s', (_name, payload) => {
    expect(() => structuredCloneCodec.decode(payload)).toThrow(/./);
  });
});

test('what this version wrote stays readable', () => {
  const written = '0108010002610903040207027801';

  expect(structuredCloneCodec.decode(Buffer.from(written, 'hex'))).toStrictEqual({ a: [1, 'x', null] });
  expect(Buffer.from(encode({ a: [1, 'x', null] })).toString('hex')).toBe(written);
});

function outcomeOf(run: () => unknown): string {
  try {
    run();
    return 'a value';
  } catch (error) {
    return error instanceof Error ? 'an error' : 'something else';
  }
}

function detachedView(): Uint8Array {
  const view = new Uint8Array(4);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}
