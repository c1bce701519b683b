import { describe, expect, test } from 'vitest';

import type { StorageTier } from '../../src/contracts.js';
import { defineStorage } from '../../src/index.js';
import { mapStorage } from '../../src/storage/map.js';
import { chaos, manualClock, type TierOperation } from '../../src/testing/index.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);

function setup() {
  const inner = mapStorage();
  return { inner, tier: chaos(inner), clock: manualClock() };
}

/** Whether `promise` is settled once everything ready has run. */
async function isSettled(promise: unknown): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  Promise.resolve(promise).then(note, note);
  for (let turn = 0; turn < 20; turn += 1) await undefined;
  return settled;
}

describe('a tier without trouble', () => {
  test('goes straight through, and stays synchronous', async () => {
    const { inner, tier } = setup();

    expect(tier.set('k', ENTRY, AT)).toBeUndefined();
    expect(tier.get('k')).toBe(ENTRY);
    expect(await inner.get('k')).toBe(ENTRY);
    expect(tier.delete('k')).toBe(true);
    expect(tier.setIfNewer?.('k', ENTRY, AT)).toBe(true);
    expect(tier.getMany?.(['k', 'x'])).toEqual([ENTRY, undefined]);
    expect(tier.sweep?.(AT, 1)).toBe(1);
    expect(tier.name).toBe('map');
  });

  test('has exactly the optional methods of the one it wraps', () => {
    const small: StorageTier = defineStorage({
      name: 'small',
      get: () => undefined,
      set: () => {},
      delete: () => {},
      sweep: () => 0,
    });
    const operations: TierOperation[] = [
      'get',
      'set',
      'delete',
      'getMany',
      'setMany',
      'deleteMany',
      'setIfNewer',
      'version',
      'setIfVersion',
      'clear',
      'sweep',
      'close',
    ];

    expect(operations.filter((operation) => operation in chaos(small))).toEqual(['get', 'set', 'delete', 'sweep']);
    expect(operations.filter((operation) => operation in setup().tier)).toEqual(operations);
  });

  test('counts calls of each operation, the failed ones too', async () => {
    const { tier } = setup();
    tier.failNext('set');

    void tier.get('a');
    void tier.get('b');
    await expect(tier.set('k', ENTRY, AT)).rejects.toThrow('chaos: set failed');
    void tier.sweep?.(AT, 1);

    expect(tier.calls).toEqual({
      get: 2,
      set: 1,
      delete: 0,
      getMany: 0,
      lease: 0,
      setMany: 0,
      deleteMany: 0,
      setIfNewer: 0,
      version: 0,
      setIfVersion: 0,
      keys: 0,
      clear: 0,
      sweep: 1,
      close: 0,
    });
  });

  test('is used with itself as `this`', async () => {
    const tier = chaos({
      name: 'self',
      get() {
        return { ...ENTRY, value: this.name };
      },
      set: () => {},
      delete: () => {},
    });

    expect((await tier.get('k'))?.value).toBe('self');
  });
});

describe('failing', () => {
  test('next is one call of that operation, with that error, and nothing reaches the tier', async () => {
    const { inner, tier } = setup();
    const error = new Error('connection lost');
    tier.failNext('set', error);

    await expect(tier.set('k', ENTRY, AT)).rejects.toBe(error);
    expect(inner.get('k')).toBeUndefined();
    await tier.set('k', ENTRY, AT);

    expect(inner.get('k')).toBe(ENTRY);
  });

  test('next, asked for twice, is the next two, in order', async () => {
    const { tier } = setup();
    tier.failNext('get', new Error('one'));
    tier.failNext('get', new Error('two'));

    await expect(tier.get('k')).rejects.toThrow('one');
    await expect(tier.get('k')).rejects.toThrow('two');
    expect(tier.get('k')).toBeUndefined();
  });

  test('next is forgotten when restored', () => {
    const { tier } = setup();
    tier.failNext('get');

    tier.restore();

    expect(tier.get('k')).toBeUndefined();
  });

  test('can be a throw instead of a rejection', () => {
    const { tier } = setup();
    tier.failNext('get', new Error('thrown'), 'throw');

    expect(() => tier.get('k')).toThrow('thrown');
  });

  test('always goes on until restored, for one operation or all', async () => {
    const { tier } = setup();

    tier.failAlways('get');
    for (let call = 0; call < 3; call += 1) await expect(tier.get('k')).rejects.toThrow('chaos: get failed');
    expect(tier.set('k', ENTRY, AT)).toBeUndefined();
    tier.failAlways('all', undefined, 'throw');
    for (const use of [
      () => tier.set('k', ENTRY, AT),
      () => tier.delete('k'),
      () => tier.sweep?.(AT, 1),
      () => tier.close?.(),
    ])
      expect(use).toThrow(/^chaos: \w+ failed$/);
    tier.restore();

    expect(tier.get('k')).toBe(ENTRY);
  });
});

describe('hanging', () => {
  test('lasts until released; then the calls go on in their order', async () => {
    const { inner, tier } = setup();
    tier.hang('set');
    const first = tier.set('k', sampleEntry(AT, { value: 'first' }), AT);
    const second = tier.set('k', sampleEntry(AT, { value: 'second' }), AT);

    expect([await isSettled(first), await isSettled(second), await inner.get('k')]).toEqual([false, false, undefined]);
    expect(tier.get('k')).toBeUndefined();
    tier.release();
    await Promise.all([first, second]);

    expect((await inner.get('k'))?.value).toBe('second');
    expect(tier.set('k', ENTRY, AT)).toBeUndefined();
  });

  test('all means every operation, and restore releases too', async () => {
    const { tier } = setup();
    tier.hang('all');
    const calls = [tier.get('k'), tier.delete('k'), tier.clear?.(), tier.close?.()];

    expect(await Promise.all(calls.map(isSettled))).toEqual([false, false, false, false]);
    tier.restore();

    expect(await Promise.all(calls)).toEqual([undefined, false, undefined, undefined]);
  });

  test('with a failure in wait ends in that failure, for the call it was meant for', async () => {
    const { tier } = setup();
    tier.hang('get');
    tier.failNext('get');
    const [failing, passing] = [tier.get('a'), tier.get('b')];

    tier.release();

    await expect(failing).rejects.toThrow('chaos: get failed');
    expect(await passing).toBeUndefined();
  });
});

describe('a delay', () => {
  test('lasts as long as the clock says', async () => {
    const { inner, tier, clock } = setup();
    tier.delay('set', 100, clock);
    const write = tier.set('k', ENTRY, AT);

    await clock.advanceAsync(99);
    expect([await isSettled(write), inner.get('k')]).toEqual([false, undefined]);
    await clock.advanceAsync(1);

    expect([await isSettled(write), inner.get('k')]).toEqual([true, ENTRY]);
  });
});

describe('corruption', () => {
  test('of one key touches that key alone, in get and getMany', async () => {
    const { inner, tier } = setup();
    for (const key of ['a', 'b']) await inner.set(key, ENTRY, AT);
    tier.corrupt('a', 'not an entry');

    expect(tier.get('a')).toBe('not an entry');
    expect(tier.get('b')).toBe(ENTRY);
    expect(tier.getMany?.(['b', 'a', 'x'])).toEqual([ENTRY, 'not an entry', undefined]);
    expect(inner.get('a')).toBe(ENTRY);
  });

  test('of all keys gives an object that is no entry, or what it is told, null included', async () => {
    const { tier } = setup();

    tier.corrupt('all');
    expect(tier.get('anything')).toEqual({ garbage: true });
    tier.corrupt('all', null);
    expect(tier.get('anything')).toBeNull();
    tier.restore();
    expect(tier.get('anything')).toBeUndefined();
  });

  test('reaches through an asynchronous tier', async () => {
    const inner = mapStorage();
    const tier = chaos({
      name: 'slow',
      get: async (key) => inner.get(key),
      set: () => {},
      delete: () => {},
      getMany: async (keys) => keys.map(() => ENTRY),
    });
    tier.corrupt('a', 0);

    expect(await tier.getMany?.(['a', 'b'])).toEqual([0, ENTRY]);
  });
});

test('misuse is a TypeError that names the operations', () => {
  const { tier } = setup();
  const misspelt = 'gett' as TierOperation;

  for (const use of [
    () => tier.failNext(misspelt),
    () => tier.failAlways(misspelt),
    () => tier.hang(misspelt),
    () => tier.delay(misspelt, 1, manualClock()),
  ]) {
    expect(use).toThrow(/^Expected `operation` to be 'all' or one of get, set, .*, got `'gett'` \(string\)$/);
  }
  expect(() => chaos(undefined as never)).toThrow(TypeError);
});
