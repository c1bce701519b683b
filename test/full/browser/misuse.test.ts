import { describe, expect, test } from 'vitest';

import {
  indexedDbQueue,
  indexedDbStorage,
  sharedWrites,
  webStorageQueue,
  webStorageStorage,
} from '../../../src/browser/index.js';
import { codeOf } from '../../browser/support/code-of.js';
import { sampleEntry } from '../../browser/support/samples.js';

describe.each<[string, (options: never) => unknown]>([
  ['webStorageStorage', webStorageStorage],
  ['webStorageQueue', webStorageQueue],
])('misuse of %s', (_name, make) => {
  test.each<[unknown, string]>([
    [null, 'Expected `options` to be an object, got `null`'],
    [{ area: 'localStorage' }, "Expected `area` to be 'local' or 'session', got `'localStorage'` (string)"],
    [{ prefix: 'a:b' }, 'Expected `prefix` to be a name of 1 to 60 letters, digits, `-` and `_`'],
    [{ prefix: '' }, 'Expected `prefix`'],
    [{ codec: JSON }, 'Expected `codec` to be a codec (name, encode, decode)'],
    [{ storage: 'local' }, 'without unknown names (known: area, prefix, codec'],
  ])('is told at once: %j', (options, message) => {
    expect(() => make(options as never)).toThrow(message);
  });
});

describe.each<[string, (options: never) => unknown]>([
  ['indexedDbStorage', indexedDbStorage],
  ['indexedDbQueue', indexedDbQueue],
])('misuse of %s', (_name, make) => {
  test.each<[unknown, string]>([
    ['soloflight', 'Expected `options` to be an object'],
    [{ database: '' }, 'Expected `database` to be a name of at least one character'],
    [{ openTimeout: 0 }, 'Expected `openTimeout` to be a duration > 0'],
    [{ clock: {} }, 'Expected `clock` to be a clock'],
    [{ name: 'db' }, 'without unknown names (known: database, openTimeout, clock'],
  ])('is told at once: %j', (options, message) => {
    expect(() => make(options as never)).toThrow(message);
  });
});

describe('misuse of sharedWrites', () => {
  const open = (): never => ({}) as never;

  test.each<[unknown, string]>([
    [undefined, 'Expected `options` to be an object'],
    [{ open }, 'Expected `name` to be a name of at least one character'],
    [{ name: 'a' }, 'Expected `open` to be a function that makes a WriteBehind'],
    [{ name: 'a', open, queue: {} }, 'without unknown names (known: name, open, clock)'],
    [{ name: 'a', open, clock: 5 }, 'Expected `clock` to be a clock'],
  ])('is told at once: %j', (options, message) => {
    expect(() => sharedWrites(options as never)).toThrow(message);
  });
});

describe('on a server', () => {
  test('storage is constructed, and fails where it is used', async () => {
    const tiers = [webStorageStorage(), webStorageStorage({ area: 'session' }), indexedDbStorage()];
    const queues = [webStorageQueue(), indexedDbQueue()];

    const codes = await Promise.all([
      ...tiers.flatMap((tier) => [codeOf(() => tier.get('k')), codeOf(() => tier.set('k', sampleEntry(1), Infinity))]),
      ...queues.map((queue) => codeOf(async () => queue.load())),
    ]);

    expect(new Set(codes)).toEqual(new Set(['SOLOFLIGHT_STORAGE_UNAVAILABLE']));
  });
});
