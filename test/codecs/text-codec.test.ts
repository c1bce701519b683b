import { describe, expect, test } from 'vitest';

import { textCodec } from '../../src/codecs/index.js';

const format = {
  stringify: (value: unknown) => `~${JSON.stringify(value)}`,
  parse: (text: string) => JSON.parse(text.slice(1)) as unknown,
};

describe('textCodec', () => {
  test('writes and reads with the functions of a library', () => {
    const codec = textCodec({ name: 'tilde', ...format });

    expect(codec.name).toBe('tilde');
    expect(codec.encode({ a: 'é' })).toBe('~{"a":"é"}');
    expect(codec.decode('~{"a":"é"}')).toEqual({ a: 'é' });
    expect(codec.decode(new TextEncoder().encode('~{"a":"é"}'))).toEqual({ a: 'é' });
  });

  test('refuses a format that lacks a function, and a name that is none', () => {
    expect(() => textCodec({ stringify: format.stringify } as never)).toThrow(/`parse`/);
    expect(() => textCodec({ ...format, stringify: 1 } as never)).toThrow(/`stringify`/);
    expect(() => textCodec({ ...format, name: '' })).toThrow(/`name`/);
    expect(() => textCodec({ ...format, nane: 'x' } as never)).toThrow(/nane/);
    expect(() => textCodec(null as never)).toThrow(TypeError);
  });
});
