import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { encrypt, gzip, structuredCloneCodec, valueCodec, type EncryptionKey } from '../../src/codecs/index.js';
import { fromPayload, type Payload } from '../../src/codecs/payload.js';
import { TieredCache } from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';

function keyOf(id: string, byte: number, length = 32): EncryptionKey {
  return { id, key: new Uint8Array(length).fill(byte) };
}

const OLD = keyOf('2025', 1);
const NEW = keyOf('2026', 2);

async function sealed(value: unknown, ...keys: EncryptionKey[]): Promise<Uint8Array> {
  return (await encrypt(valueCodec, { keys }).encode(value)) as Uint8Array;
}

describe('an encrypted payload', () => {
  test.each<[string, unknown]>([
    ['plain data', { secret: 'é\ud800' }],
    ['what JSON would lose', new Map([[1, new Date(5)]])],
    ['an empty text', ''],
  ])('comes back as it went in: %s', async (_name, value) => {
    for (const codec of [valueCodec, structuredCloneCodec, gzip(valueCodec, { above: 0 })]) {
      const secret = encrypt(codec, { keys: [OLD] });

      expect(await secret.decode(await secret.encode(value))).toStrictEqual(value);
    }
  });

  test('shows the id of its key and nothing of the value, and is never the same twice', async () => {
    const value = { secret: 'the cat is in the bag' };
    const [first, second] = [await sealed(value, OLD), await sealed(value, OLD)];
    const text = Buffer.from(first).toString('latin1');

    expect(text).toContain('2025');
    expect(text).not.toContain('cat');
    expect(Buffer.compare(first, second)).not.toBe(0);
  });

  test('is read after a rotation as long as its key is there, and a miss after that', async () => {
    const written = await sealed('value', OLD);
    const rotated = encrypt(valueCodec, { keys: [NEW, OLD] });

    expect(await rotated.decode(written)).toBe('value');
    expect(Buffer.from((await rotated.encode('value')) as Uint8Array).includes('2026')).toBe(true);
    await expect(readWith([NEW], written)).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
  });

  test('that was changed at any place, cut or made up is undecodable', async () => {
    const written = await sealed({ a: 1 }, OLD);

    for (let at = 0; at < written.length; at += 1)
      await expect(readWith([OLD], written.with(at, written[at]! ^ 1)), `byte ${at}`).rejects.toMatchObject({
        code: 'SOLOFLIGHT_UNDECODABLE',
      });
    for (let length = 0; length < written.length; length += 1)
      await expect(readWith([OLD], written.slice(0, length))).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
    await expect(readWith([OLD], 'text')).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
  });

  test('made with another key under the same id is undecodable', async () => {
    const written = await sealed('value', OLD);

    await expect(readWith([keyOf('2025', 9)], written)).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
  });

  test('takes a CryptoKey, and keeps its key whatever happens to the bytes it was made of', async () => {
    const imported = await crypto.subtle.importKey('raw', new Uint8Array(32).fill(1), 'AES-GCM', false, [
      ...(['encrypt', 'decrypt'] as const),
    ]);
    const bytes = new Uint8Array(32).fill(1);
    const codec = encrypt(valueCodec, { keys: [{ id: '2025', key: bytes }] });
    bytes.fill(7);

    const other = encrypt(valueCodec, { keys: [{ id: '2025', key: imported }] });
    expect(await other.decode(await codec.encode('value'))).toBe('value');
  });

  test('is stored and read through a tier, and a lost key is a miss that deletes nothing', async () => {
    const database = new (process.getBuiltinModule('node:sqlite').DatabaseSync)(':memory:');
    const open = (keys: EncryptionKey[]): TieredCache<string> =>
      new TieredCache({ ttl: '1h', storage: sqliteStorage({ database, codec: encrypt(valueCodec, { keys }) }) });
    await open([OLD]).set('k', 'value');

    expect(await open([NEW]).getIfCached('k')).toBeUndefined();
    expect(await open([NEW, OLD]).getIfCached('k')).toBe('value');
  });
});

test('a request that ends while a key is imported leaves nobody waiting', async () => {
  const codec = encrypt(valueCodec, { keys: [OLD] });
  const importing = vi.spyOn(crypto.subtle, 'importKey').mockReturnValueOnce(new Promise(() => {}));
  onTestFinished(() => importing.mockRestore());

  void codec.encode('of the request that ended');

  expect(await codec.decode(await codec.encode('value'))).toBe('value');
});

test('keys that make no sense are refused at once, and never shown', () => {
  const bad: unknown[] = [
    ...[undefined, [], {}, [{}], [{ id: '', key: OLD.key }], [{ id: 'a', key: 'password' }], [OLD, OLD]],
    ...[[keyOf('a', 1, 20)], [keyOf('x'.repeat(256), 1)], [{ ...OLD, name: 1 }]],
  ];

  for (const keys of bad) expect(() => encrypt(valueCodec, { keys } as never)).toThrow(TypeError);
  expect(() => encrypt(valueCodec, { keys: [{ id: 'a', key: 'my password' as never }] })).not.toThrow(/my password/);
  expect(() => encrypt({} as never, { keys: [OLD] })).toThrow(/codec/);
});

async function readWith(keys: EncryptionKey[], payload: Payload): Promise<unknown> {
  const codec = encrypt(valueCodec, { keys });
  return fromPayload('k', codec.name, payload, codec);
}
