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

test('bytes that are no UTF-8 are refused, not guessed at', () => {
  expect(() => jsonCodec.decode(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(TypeError);
  expect(() => jsonCodec.decode('{')).toThrow(SyntaxError);
});
