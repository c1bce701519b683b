import { describe, expect, test } from 'vitest';

import { toName } from '../../src/storage/key-name.js';
import { HOSTILE_KEYS } from '../../src/testing/storage-suite/keys.js';
import { fc } from '../support/property.js';

describe('the name of a key', () => {
  test('is one that no storage changes, and short', async () => {
    for (const key of HOSTILE_KEYS) expect(await toName(key)).toMatch(/^[kh][a-z0-9_-]{0,179}$/);
  });

  test('is never that of another key', async () => {
    const names = await Promise.all(HOSTILE_KEYS.map(toName));

    expect(new Set(names).size).toBe(HOSTILE_KEYS.length);
  });

  test('can be read back while it is no hash, so no two keys share one', () => {
    const unit = fc.constantFrom(
      '_',
      'u',
      'k',
      'a',
      'A',
      '0',
      '4',
      '1',
      '%',
      ':',
      '/',
      'é',
      '漢',
      '\ud800',
      '\0',
      '-',
      'f',
    );

    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (key) => {
        expect(keyOf(toName(key) as string)).toBe(key);
      }),
    );
  });

  test('is a hash from where it would be too long', async () => {
    expect(await toName('a'.repeat(179))).toBe(`k${'a'.repeat(179)}`);
    expect(await toName('a'.repeat(180))).toMatch(/^h[0-9a-f]{64}$/);
    expect(await toName(':'.repeat(60))).toMatch(/^h[0-9a-f]{64}$/);
    expect(await toName('漢'.repeat(180))).not.toBe(await toName('字'.repeat(180)));
    expect(await toName('h'.repeat(65))).toBe(`k${'h'.repeat(65)}`);
  });

  test('stays the same from version to version', async () => {
    expect(toName('user:42/Profile')).toBe('kuser_3a42_2f_50rofile');
    expect(toName('漢')).toBe('k_u6f22');
    expect(await toName('x'.repeat(200))).toBe(LONG_NAME);
  });
});

/** SHA-256 of two hundred times `0078`. */
const LONG_NAME = 'h4a1e34ee2f32fa5efdabe30aa4523c32eb9868717ce8031154bb224462410eca';

function keyOf(name: string): string {
  return name
    .slice(1)
    .replaceAll(/_(?:u(....)|(..))/g, (_escape, four?: string, two?: string) =>
      String.fromCharCode(Number.parseInt(four ?? two ?? '', 16)),
    );
}
