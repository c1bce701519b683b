import { gunzipSync, gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { gzip, structuredCloneCodec } from '../../src/codecs/index.js';
import { jsonCodec, type Codec } from '../../src/index.js';

const LARGE = { text: 'soloflight '.repeat(1_000) };

/** A codec for bytes as they are. */
const bytesCodec: Codec = { name: 'bytes', encode: (value) => value as Uint8Array, decode: (payload) => payload };

function gzippedJson(value: unknown, mark = 2): Uint8Array {
  return Uint8Array.of(mark, ...gzipSync(JSON.stringify(value)));
}

describe('a small payload', () => {
  test('stays what it was, without waiting', () => {
    const codec = gzip(jsonCodec);

    expect(codec.encode({ a: 1 })).toBe('{"a":1}');
    expect(codec.decode('{"a":1}')).toEqual({ a: 1 });
    expect(gzip(bytesCodec).encode(Uint8Array.of(7))).toEqual(Uint8Array.of(0, 7));
    expect(gzip(bytesCodec).decode(Uint8Array.of(0, 7))).toEqual(Uint8Array.of(7));
  });

  test('is one of no more than `above` bytes, not characters', async () => {
    const codec = gzip(jsonCodec, { above: 100 });

    expect(typeof (await codec.encode('a'.repeat(98)))).toBe('string');
    expect(await codec.encode('a'.repeat(99))).toBeInstanceOf(Uint8Array);
    expect(typeof (await codec.encode('é'.repeat(49)))).toBe('string');
    expect(await codec.encode('é'.repeat(50))).toBeInstanceOf(Uint8Array);
  });
});

describe('a large payload', () => {
  test.each<[string, Codec, unknown]>([
    ['text', jsonCodec, LARGE],
    ['text beyond ASCII, with a byte order mark', jsonCodec, `\ufeff${'漢é👩'.repeat(5_000)}`],
    ['bytes', structuredCloneCodec, new Map([['x', LARGE]])],
  ])('is compressed, and comes back: %s', async (_name, inner, value) => {
    const codec = gzip(inner);

    const payload = await codec.encode(value);

    expect(payload).toBeInstanceOf(Uint8Array);
    expect(payload.length).toBeLessThan(2_000);
    expect(await codec.decode(payload)).toStrictEqual(value);
  });

  test('is gzip after its first byte', async () => {
    const payload = (await gzip(jsonCodec).encode(LARGE)) as Uint8Array;

    expect(JSON.parse(gunzipSync(payload.subarray(1)).toString())).toEqual(LARGE);
  });

  test('that would not get smaller stays as it is', async () => {
    const noise = crypto.getRandomValues(new Uint8Array(5_000));

    const payload = (await gzip(bytesCodec).encode(noise)) as Uint8Array;

    expect(payload.length).toBe(5_001);
    expect(gzip(bytesCodec).decode(payload)).toEqual(noise);
  });

  test('of several megabytes comes back', async () => {
    const codec = gzip(jsonCodec);
    const value = Array.from({ length: 200_000 }, (_, id) => ({ id, name: `name ${id * 7_919}` }));

    expect(await codec.decode(await codec.encode(value))).toEqual(value);
  });

  test('of a codec that makes promises comes back', async () => {
    const slow: Codec = {
      name: 'slow',
      encode: async (value) => JSON.stringify(value),
      decode: async (payload) => JSON.parse(payload as string) as unknown,
    };

    expect(await gzip(slow).decode(await gzip(slow).encode(LARGE))).toEqual(LARGE);
    expect(await gzip(slow).decode(await gzip(slow).encode(1))).toBe(1);
  });
});

describe('a payload that stands for too much', () => {
  test('is not decompressed beyond `maxSize`', async () => {
    const bomb = Uint8Array.of(1, ...gzipSync(new Uint8Array(50_000_000)));

    await expect(gzip(bytesCodec, { maxSize: 1_000_000 }).decode(bomb)).rejects.toThrow(/`maxSize` of gzip is 1000000/);
    expect(bomb.length).toBeLessThan(60_000);
  });

  test('is exactly one byte too large, or just not', async () => {
    const payload = gzippedJson('x'.repeat(2_000));

    expect(await gzip(jsonCodec, { maxSize: 2_002 }).decode(payload)).toHaveLength(2_000);
    await expect(gzip(jsonCodec, { maxSize: 2_001 }).decode(payload)).rejects.toThrow(RangeError);
  });

  test('is not written either, since it could not be read', () => {
    expect(() => gzip(jsonCodec, { maxSize: 10 }).encode('x'.repeat(20))).toThrow(RangeError);
    expect(() => gzip(bytesCodec, { maxSize: 10 }).encode(new Uint8Array(11))).toThrow(RangeError);
    expect(gzip(jsonCodec, { maxSize: 10 }).encode('x')).toBe('"x"');
  });
});

describe('a payload that is not one', () => {
  test.each<[string, Uint8Array]>([
    ['garbage behind the mark', Uint8Array.of(2, 1, 2, 3, 4, 5, 6, 7, 8, 9)],
    ['nothing behind the mark', Uint8Array.of(1)],
    ['cut off', gzippedJson(LARGE).slice(0, 60)],
    ['a wrong checksum', gzippedJson(LARGE).fill(0, -8)],
    ['not UTF-8', Uint8Array.of(2, ...gzipSync(Uint8Array.of(255)))],
  ])('rejects, and leaves no rejection to nobody: %s', async (_name, payload) => {
    await expect(gzip(jsonCodec).decode(payload)).rejects.toThrow(/whole gzip stream|encoded data was not valid/);
  });

  test.each([[Uint8Array.of()], [Uint8Array.of(9, 1, 2)]])('throws for an unknown mark: %s', (payload) => {
    expect(() => gzip(jsonCodec).decode(payload)).toThrow(/first byte/);
  });
});

describe('options that make no sense', () => {
  test.each<[unknown, unknown, RegExp]>([
    [{ name: 'x' }, {}, /`codec`/],
    [jsonCodec, null, /`options`/],
    [jsonCodec, { above: -1 }, /`above`/],
    [jsonCodec, { above: '1kB' }, /`above`/],
    [jsonCodec, { maxSize: 0 }, /`maxSize`/],
    [jsonCodec, { maxSize: NaN }, /`maxSize`/],
  ])('are refused (%#)', (codec, options, message) => {
    expect(() => gzip(codec as Codec, options as object)).toThrow(message);
  });

  test('the name tells what is inside', () => {
    expect(gzip(jsonCodec).name).toBe('gzip(json)');
    expect(gzip(jsonCodec, { above: Infinity }).encode('x'.repeat(100_000))).toHaveLength(100_002);
  });
});
