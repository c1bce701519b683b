import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { jsonCodec } from '../../src/codecs/json.js';

describe('values that are JSON', () => {
  test.each([[null], [0], [''], [false], [[1, [2]]], [{ a: { b: 'ü \ud800 \0' } }]])(
    '%j comes back from text and from bytes',
    (value) => {
      const text = jsonCodec.encode(value) as string;

      expect(jsonCodec.decode(text)).toEqual(value);
      expect(jsonCodec.decode(new TextEncoder().encode(text))).toEqual(value);
    },
  );

  test('a key named __proto__ stays an ordinary key', () => {
    const decoded = jsonCodec.decode('{"__proto__":{"admin":true}}') as { admin?: boolean };

    expect(decoded.admin).toBeUndefined();
    expect(Object.keys(decoded)).toEqual(['__proto__']);
  });
});

describe('values of which JSON would keep nothing', () => {
  test.each([
    ['undefined', undefined],
    ['function', () => 1],
    ['symbol', Symbol('s')],
    ['object', { toJSON: () => undefined }],
  ])('%s is refused with a message that says what to do', (type, value) => {
    expect(() => jsonCodec.encode(value)).toThrow(
      new TypeError(`A value of type ${type} can't be stored as JSON. Use plain data, or another codec`),
    );
  });

  test('a bigint and a circular reference are refused', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;

    expect(() => jsonCodec.encode(1n)).toThrow(TypeError);
    expect(() => jsonCodec.encode(circular)).toThrow(TypeError);
  });
});

describe('values that JSON would change', () => {
  test.each<[string, unknown, string]>([
    ['a date', { user: { born: new Date(0) } }, '`value.user.born` (an object of class Date)'],
    ['a map', [1, new Map()], '`value[1]` (an object of class Map)'],
    ['a typed array', Uint8Array.of(1), '`value` (an object of class Uint8Array)'],
    ['undefined in an array', [undefined], '`value[0]` (undefined)'],
    ['undefined as a property', { a: undefined }, '`value.a` (undefined)'],
    ['a function as a property', { a: () => 1 }, '`value.a` (function)'],
    ['not a number', { n: NaN }, '`value.n` (NaN)'],
    ['minus zero', [0, -0], '`value[1]` (-0)'],
    // oxlint-disable-next-line no-sparse-arrays
    ['a hole', { list: [1, , 2] }, '`value.list` (an array with holes or names)'],
    ['a match', /a/.exec('a'), '`value` (an array with holes or names)'],
    [
      'an instance of a class',
      [
        new (class Point {
          readonly x = 1;
        })(),
      ],
      '`value[0]` (an object of class Point)',
    ],
    ['an object without a class', Object.create({ a: 1 }), '`value` (an object of class Object)'],
  ])('are refused, and the message says where: %s', (_name, value, where) => {
    expect(() => jsonCodec.encode(value)).toThrow(`JSON would change ${where}`);
  });

  test('an object in two places comes back as two, and is taken', () => {
    const shared = { a: [1] };

    expect(jsonCodec.decode(jsonCodec.encode([shared, { shared }]) as string)).toEqual([shared, { shared }]);
    expect(() => jsonCodec.encode([shared, shared, NaN])).toThrow('`value[2]` (NaN)');
  });

  test('data of another realm and rows without a prototype are plain data', () => {
    expect(jsonCodec.encode(runInNewContext('({ a: [1] })'))).toBe('{"a":[1]}');
    expect(jsonCodec.encode(Object.assign(Object.create(null) as object, { a: 1 }))).toBe('{"a":1}');
  });
});

test('bytes that are no UTF-8 are refused, not guessed at', () => {
  expect(() => jsonCodec.decode(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(TypeError);
  expect(() => jsonCodec.decode('{')).toThrow(SyntaxError);
});
