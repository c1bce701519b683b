import { describe, expect, test } from 'vitest';

import { keyOf } from '../../src/index.js';
import { fc, runs } from '../support/property.js';

class Money {
  readonly #amount: number;

  constructor(amount: number) {
    this.#amount = amount;
  }

  get amount(): number {
    return this.#amount;
  }
}

describe('keys of arguments', () => {
  const different: readonly (readonly unknown[])[] = [
    ...[
      [],
      [undefined],
      [null],
      [''],
      [0],
      [-0],
      ['0'],
      [1],
      ['1'],
      [1n],
      [true],
      ['true'],
      [false],
      [NaN],
      ['NaN'],
      [Infinity],
      [-Infinity],
    ],
    ...[
      [[]],
      [{}],
      [[1]],
      [['1']],
      [[[1]]],
      [1, 2],
      [[1, 2]],
      [[1], 2],
      ['1,2'],
      ['a', 'b'],
      ['a,b'],
      ['a,', 'b'],
      ['ab'],
      ['a', ''],
      ['', 'a'],
    ],
    ...[
      [{ a: 1 }],
      [{ a: '1' }],
      [{ a: undefined }],
      [{ b: 1 }],
      [{ a: 1, b: 2 }],
      [{ a: { b: 1 } }],
      [{ 'a=1': 1 }],
      [{ __proto__: null, a: 2 }],
    ],
    ...[
      [new Date(0)],
      [new Date(1)],
      [new Date(NaN)],
      ['1970-01-01T00:00:00.000Z'],
      [/a/],
      [/a/g],
      ['/a/'],
      [new URL('https://a.example/')],
    ],
    ...[
      [new Map()],
      [new Set()],
      [new Map([['a', 1]])],
      [new Map([['a', '1']])],
      [new Set(['a'])],
      [new Set([['a']])],
      [new Set(['a', 'b'])],
    ],
    ...[
      [new Uint8Array([1, 2])],
      [new Uint8Array([12])],
      [new Int8Array([1, 2])],
      [new Uint8Array([1, 2]).buffer],
      [new Uint16Array([513])],
    ],
    ...[['\ud800'], ['\ufffd'], ['a\0b'], ['5:hello'], ['hello'], ['u'], ['z'], ['n1']],
  ];

  test('differ whenever the arguments do', () => {
    const keys = different.map((args) => keyOf(...args));

    expect(new Set(keys).size).toBe(different.length);
  });

  test('do not depend on the order of object keys, Map entries and Set members', () => {
    expect(keyOf({ a: 1, b: { c: 2, d: 3 } })).toBe(keyOf({ b: { d: 3, c: 2 }, a: 1 }));
    expect(
      keyOf(
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      ),
    ).toBe(
      keyOf(
        new Map([
          ['b', 2],
          ['a', 1],
        ]),
      ),
    );
    expect(keyOf(new Set([1, 2]))).toBe(keyOf(new Set([2, 1])));
  });

  test('depend on content, not on identity, and a shared part is no cycle', () => {
    const part = { x: 1 };

    expect(keyOf({ a: part, b: part })).toBe(keyOf({ a: { x: 1 }, b: { x: 1 } }));
    expect(keyOf(Object.create(null))).toBe(keyOf({}));
    expect(keyOf(new Uint8Array([9, 1, 2]).subarray(1))).toBe(keyOf(new Uint8Array([1, 2])));
  });

  const cycle: unknown[] = [];
  cycle.push({ cycle });
  const deep = Array.from({ length: 300 }).reduce<unknown>((inner) => [inner], 0);

  test.each<[string, unknown]>([
    ['function', () => {}],
    ['symbol', Symbol('s')],
    ['object that contains itself', cycle],
    ['object of class Money', new Money(5)],
    ['object of class Promise', Promise.resolve()],
    ['object with symbol keys', { [Symbol('s')]: 1 }],
    ['object nested more than 200 levels deep', deep],
  ])('refuse what has no content to tell it by: %s', (what, value) => {
    expect(() => keyOf(value)).toThrow(TypeError);
    expect(() => keyOf({ nested: [value] })).toThrow(what);
  });

  test('two values have one key exactly when they are equal', () => {
    const value = fc.anything({ withBigInt: true, withDate: true, withMap: false, withSet: false, maxDepth: 3 });

    fc.assert(
      fc.property(value, value, (left, right) => {
        const equal = JSON.stringify(comparable(left)) === JSON.stringify(comparable(right));
        expect(keyOf(left) === keyOf(right)).toBe(equal);
      }),
      { numRuns: runs(2_000) },
    );
  });
});

/** A second opinion on equality: every value as JSON that says its type. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return ['array', Array.from(value, comparable)];
  if (value instanceof Date) return ['date', String(value.getTime())];
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, field]) => [name, comparable(field)]);
    return ['object', fields.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))];
  }
  return [typeof value, Object.is(value, -0) ? '-0' : String(value)];
}
