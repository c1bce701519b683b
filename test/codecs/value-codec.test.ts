import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { gzip, structuredCloneCodec, valueCodec } from '../../src/codecs/index.js';
import { fromPayload, toPayload, type Payload } from '../../src/codecs/payload.js';
import { isSoloflightError, jsonCodec } from '../../src/index.js';
import { fc, runs } from '../support/property.js';

function encode(value: unknown): Payload {
  return valueCodec.encode(value) as Payload;
}

function roundTrip(value: unknown): unknown {
  return valueCodec.decode(encode(value));
}

const PLAIN: readonly [string, unknown][] = [
  ['nothing much', [null, true, 0, -1, 0.5, 1e300, '', 'a\ud800', []]],
  ['a row', { id: 1, name: 'Ada', tags: ['a', 'b'], address: { city: 'Zürich' }, deleted: null }],
  ['a key named __proto__', JSON.parse('{"__proto__":{"admin":true},"toString":1}')],
  ['a row without a prototype', Object.assign(Object.create(null) as object, { id: 1 })],
  ['data of another realm', runInNewContext('({ list: [1, { a: 2 }] })')],
];

const shared = { x: 1 };
const circular: { self?: unknown; list: unknown[] } = { list: [] };
circular.self = circular;
circular.list.push(circular.list);

const RICH: readonly [string, unknown][] = [
  ['a date', { at: new Date(5) }],
  ['a date that is none', [new Date(NaN)]],
  ['a map', new Map<unknown, unknown>([[{ a: 1 }, new Set([NaN])]])],
  ['a set', { set: new Set([1, '1']) }],
  ['a bigint', [10n ** 30n]],
  ['undefined as a property', { a: undefined }],
  ['undefined in an array', [undefined, 1]],
  ['a typed array', Float32Array.of(0.5)],
  ['a buffer', { bytes: Uint8Array.of(1, 2).buffer }],
  ['a regular expression', /a/gi],
  ['an error', { error: new RangeError('far', { cause: 1 }) }],
  ['minus zero', -0],
  ['minus zero in an array', [1, -0]],
  ['not a number', { n: NaN }],
  ['infinities', [Infinity, -Infinity]],
  // oxlint-disable-next-line no-sparse-arrays
  ['holes', [1, , 3]],
  ['a long array of holes', longHole()],
  ['a cycle', circular],
  ['one object in two places', [shared, { shared }]],
  ['boxes', [Object(1), Object('a'), Object(false), Object(1n)]],
  ['a match', { match: /b(?<x>.)/.exec('abc') }],
  ['names on an empty array', Object.assign([], { total: 3 })],
  ['names on an array of rows', { rows: Object.assign([{ id: 1 }, { id: 2 }], { total: 3 }) }],
  [
    'an instance of a class',
    {
      at: new (class Point {
        readonly x = 1;
      })(),
    },
  ],
  ['a subclass of Array', class List extends Array<number> {}.from([1])],
  [
    'what would convert itself',
    new (class {
      readonly a = 1;
      toJSON(): string {
        return 'b';
      }
    })(),
  ],
  ['__proto__ beside a date', Object.assign(JSON.parse('{"__proto__":{"admin":true}}') as object, { at: new Date(1) })],
  ['lone surrogates', new Set(['\ud800', 'a\udc00b'])],
];

describe('the default codec', () => {
  test.each(PLAIN)('writes plain data as JSON and not a byte more: %s', (_name, value) => {
    expect(encode(value)).toBe(JSON.stringify(value));
    expect(roundTrip(value)).toStrictEqual(structuredClone(value));
  });

  test.each(RICH)('gives back what JSON would lose: %s', (_name, value) => {
    expect(roundTrip(value)).toStrictEqual(structuredClone(value));
  });

  test('keeps shared and circular references', () => {
    const [first, second] = roundTrip([shared, { shared }]) as [object, { shared: object }];
    const copy = roundTrip(circular) as typeof circular;

    expect(second.shared).toBe(first);
    expect(copy.self).toBe(copy);
    expect(copy.list[0]).toBe(copy.list);
  });

  test.each([1, 6, 7, 8, 9, 500])('finds an object that comes again, first or last among %i', (count) => {
    const objects = Array.from({ length: count }, (_, id) => ({ id }));

    for (const again of [objects[0], objects.at(-1)]) {
      const copy = roundTrip([...objects, again]) as object[];

      expect(copy.at(-1)).toBe(copy[objects.indexOf(again!)]);
    }
    expect(encode(objects)).toBe(JSON.stringify(objects));
  });

  test('reads what jsonCodec of 0.1.0 wrote, from text and from bytes', () => {
    const written = '{"at":"1970-01-01T00:00:00.000Z","list":[null,1],"map":{}}';

    expect(fromPayload('k', 'json', written, valueCodec)).toEqual(JSON.parse(written));
    expect(fromPayload('k', 'json', new TextEncoder().encode(written), valueCodec)).toEqual(JSON.parse(written));
  });

  test('writes plain data so that 0.1.0 reads it, and the rest so that 0.1.0 finds nothing', () => {
    const rich = encode({ at: new Date(0) });

    expect(fromPayload('k', valueCodec.name, encode({ a: 1 }), jsonCodec)).toEqual({ a: 1 });
    expect(codeOf(() => fromPayload('k', valueCodec.name, rich, jsonCodec))).toBe('SOLOFLIGHT_UNDECODABLE');
  });

  test('gives what structuredClone gives, whatever it is made of', () => {
    const anything = fc.anything({
      ...{ withBigInt: true, withBoxedValues: true, withDate: true, withMap: true, withSet: true },
      ...{ withSparseArray: true, withTypedArray: true, withNullPrototype: true, stringUnit: 'binary' },
    });

    fc.assert(
      fc.property(anything, (value) => {
        expect(roundTrip(value)).toStrictEqual(structuredClone(value));
        expect(valueCodec.decode(new Uint8Array(bytesOf(encode(value))))).toStrictEqual(structuredClone(value));
      }),
      { numRuns: runs(1_000) },
    );
  });

  test('takes a value nested deeper than any program should', () => {
    const text = `${'['.repeat(1_000)}${']'.repeat(1_000)}`;

    expect(encode(JSON.parse(text))).toBe(text);
  });

  test.each<[string, unknown]>([
    ['a function', { f: () => 1 }],
    ['a method that would convert it', { toJSON: () => 1 }],
    ['a symbol', Symbol('s')],
    ['a promise', { p: Promise.resolve(1) }],
    ['a stream', new ReadableStream()],
    ['a response', new Response('x')],
    ['a blob', { b: new Blob(['x']) }],
    ['a weak map', new WeakMap()],
    ['an iterator', [1].values()],
    [
      'a generator',
      (function* one() {
        yield 1;
      })(),
    ],
  ])('refuses what has no stored form: %s', (_name, value) => {
    expect(codeOf(() => toPayload('k', value, valueCodec))).toBe('SOLOFLIGHT_UNENCODABLE');
  });

  test('works inside gzip, large and small', async () => {
    const codec = gzip(valueCodec, { above: 100 });
    const large = { at: new Date(1), list: Array.from({ length: 100 }, (_, id) => ({ id })) };

    for (const value of [large, { at: new Date(1) }, large.list, [1]])
      expect(await codec.decode(await codec.encode(value))).toStrictEqual(value);
  });
});

describe('a hostile payload', () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.uint8Array({ maxLength: 60 }).map((rest) => Uint8Array.of(1, ...rest)),
    fc.string({ maxLength: 60 }),
    fc.json(),
    fc.anything({ withMap: true, withDate: true }).chain((value) => {
      const bytes = structuredCloneCodec.encode(value) as Uint8Array;
      const place = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
      return place.map(([at, byte]) => bytes.with(at, byte));
    }),
  );

  test('never throws anything but the undecodable error, and changes no prototype', () => {
    const before = prototypes();

    fc.assert(
      fc.property(hostile, (payload) => {
        const code = codeOf(() => fromPayload('k', 'json', payload, valueCodec));

        expect([undefined, 'SOLOFLIGHT_UNDECODABLE']).toContain(code);
      }),
      { numRuns: runs(3_000) },
    );
    expect(prototypes()).toEqual(before);
  });

  test.each<[string, Payload]>([
    ['JSON', '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'],
    [
      'a clone',
      structuredCloneCodec.encode(JSON.parse('{"__proto__":{"polluted":1},"a":[{"__proto__":1}]}')) as Payload,
    ],
    [
      'a sparse array',
      structuredCloneCodec.encode(Object.assign([], JSON.parse('{"__proto__":{"polluted":1}}'))) as Payload,
    ],
  ])('keeps __proto__ an ordinary name: %s', (_name, payload) => {
    const value = fromPayload('k', 'json', payload, valueCodec) as object;

    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect((value as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('nested without end is an undecodable one', () => {
    const maps = new Uint8Array(400_000).fill(12);
    maps[0] = 1;

    expect(codeOf(() => fromPayload('k', 'json', new Uint8Array(400_000).fill(1), valueCodec))).toBe(
      'SOLOFLIGHT_UNDECODABLE',
    );
    expect(codeOf(() => fromPayload('k', 'json', maps, valueCodec))).toBe('SOLOFLIGHT_UNDECODABLE');
    expect(codeOf(() => fromPayload('k', 'json', '['.repeat(400_000), valueCodec))).toBe('SOLOFLIGHT_UNDECODABLE');
  });
});

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return isSoloflightError(error) ? error.code : `no error of ours: ${String(error)}`;
  }
}

function bytesOf(payload: Payload): Uint8Array {
  return typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
}

function prototypes(): readonly unknown[] {
  return [Object, Array, Map, Set, Date, Error, RegExp].map(({ prototype }) => Reflect.ownKeys(prototype).length);
}

function longHole(): unknown[] {
  const array: unknown[] = [1];
  array.length = 1_000;
  return array;
}
