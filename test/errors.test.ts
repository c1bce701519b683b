import { describe, expect, test } from 'vitest';

import {
  CacheClosedError,
  CallerTimeoutError,
  FlightTimeoutError,
  isSoloflightError,
  type SoloflightErrorCode,
  misuse,
  ReentrantFlightError,
  SoloflightError,
  TierTimeoutError,
  TooManyFlightsError,
  TooManySubscribersError,
  UndecodableError,
  UnencodableError,
} from '../src/errors.js';

const each: [string, () => SoloflightError, string, object][] = [
  [
    'FlightTimeoutError',
    () => new FlightTimeoutError('k', 30_000.4, 30_000),
    'SOLOFLIGHT_FLIGHT_TIMEOUT',
    { age: 30_000.4, maxDuration: 30_000 },
  ],
  [
    'TooManySubscribersError',
    () => new TooManySubscribersError('k', 5),
    'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS',
    { maxSubscribers: 5 },
  ],
  ['TooManyFlightsError', () => new TooManyFlightsError('k', 5), 'SOLOFLIGHT_TOO_MANY_FLIGHTS', { maxFlights: 5 }],
  ['ReentrantFlightError', () => new ReentrantFlightError('k'), 'SOLOFLIGHT_REENTRANT_FLIGHT', {}],
  ['CacheClosedError', () => new CacheClosedError('k'), 'SOLOFLIGHT_CACHE_CLOSED', {}],
  ['CallerTimeoutError', () => new CallerTimeoutError('k', 50), 'SOLOFLIGHT_CALLER_TIMEOUT', { timeout: 50 }],
  [
    'TierTimeoutError',
    () => new TierTimeoutError('sqlite', 'get', 1_000, 'k'),
    'SOLOFLIGHT_TIER_TIMEOUT',
    { tier: 'sqlite', deadline: 1_000 },
  ],
  [
    'UndecodableError',
    () => new UndecodableError('k', 'unknown format 9', 'why'),
    'SOLOFLIGHT_UNDECODABLE',
    { cause: 'why' },
  ],
  [
    'UnencodableError',
    () => new UnencodableError('k', "the codec 'json' failed on it", 'why'),
    'SOLOFLIGHT_UNENCODABLE',
    { cause: 'why' },
  ],
];

describe.each(each)('%s', (name, make, code, details) => {
  test('has its name, code, key and figures', () => {
    expect(make()).toMatchObject({ name, code, key: 'k', ...details });
  });

  test('is a SoloflightError and an Error with a stack of where it was made', () => {
    const error = make();

    expect(error).toBeInstanceOf(SoloflightError);
    expect(error).toBeInstanceOf(Error);
    expect(error.stack).toContain('errors.test.ts');
    expect(`${error}`).toBe(`${name}: ${error.message}`);
  });

  test('is known by its code, and by no other', () => {
    const error = make();

    expect([
      isSoloflightError(error),
      isSoloflightError(error, code as SoloflightErrorCode),
      isSoloflightError(error, 'SOLOFLIGHT_OTHER' as never),
    ]).toEqual([true, true, false]);
  });

  test('shows no marks of ours when it is logged', () => {
    expect(Object.keys(make()).every((field) => ['name', 'code', 'key', ...Object.keys(details)].includes(field))).toBe(
      true,
    );
    expect(Object.getOwnPropertySymbols(Object.assign({}, make()))).toEqual([]);
  });
});

describe('isSoloflightError', () => {
  test.each([
    undefined,
    null,
    0,
    'text',
    {},
    new Error('other'),
    Object.assign(new Error('other'), { code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' }),
    () => {},
  ])('does not take %o for one', (candidate) => {
    expect(isSoloflightError(candidate)).toBe(false);
  });

  test('knows errors from another copy of the package', () => {
    // What another copy has in common with this one is the registered symbol alone.
    const foreign = Object.defineProperty(
      Object.assign(new Error('elsewhere'), { code: 'SOLOFLIGHT_CACHE_CLOSED' }),
      Symbol.for('soloflight.error'),
      { value: true },
    );

    expect(foreign).not.toBeInstanceOf(SoloflightError);
    expect([isSoloflightError(foreign), isSoloflightError(foreign, 'SOLOFLIGHT_CACHE_CLOSED')]).toEqual([true, true]);
  });

  test('knows errors of a user’s own class', () => {
    class OwnError extends SoloflightError {}
    const error = new OwnError('SOLOFLIGHT_OWN', 'own', { key: 'k', cause: 'why' });

    expect(error).toMatchObject({ name: 'OwnError', code: 'SOLOFLIGHT_OWN', key: 'k', cause: 'why' });
    expect(isSoloflightError(error, 'SOLOFLIGHT_OWN' as never)).toBe(true);
  });
});

describe('what there is not', () => {
  test('is no field either, so that logs show no `undefined`', () => {
    expect('key' in new CacheClosedError()).toBe(false);
    expect('cause' in new UndecodableError('k', 'why')).toBe(false);
  });
});

describe('the messages', () => {
  test('of a timed-out flight say what to do next', () => {
    const { message } = new FlightTimeoutError('post:1', 30_000.4, 30_000);

    expect(message).toContain("'post:1'");
    expect(message).toContain('30000 ms');
    expect(message).toContain('Raise `maxDuration`');
    expect(message).toContain('`signal`');
  });

  test('of guards name the limit and the option', () => {
    expect(new TooManySubscribersError('k', 7).message).toMatch(/'k'.*7.*`maxSubscribers`/);
    expect(new TooManyFlightsError('k', 7).message).toMatch(/'k'.*7.*`maxFlights`/);
  });

  test.each([
    [undefined, '`undefined`'],
    [null, '`null`'],
    [-1, '`-1` (number)'],
    [NaN, '`NaN` (number)'],
    ['10x', "`'10x'` (string)"],
    [10n, '`10` (bigint)'],
    [true, '`true` (boolean)'],
    [Symbol('s'), '`Symbol(s)` (symbol)'],
    [() => {}, '`function` (function)'],
    [{ secret: 1 }, '`object` (object)'],
    [[1], '`array` (object)'],
    [Object.create(null), '`object` (object)'],
  ])('of misuse show %o as %s', (received, shown) => {
    const error = misuse('ttl', 'a duration', received);

    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(`Expected \`ttl\` to be a duration, got ${shown}`);
  });

  test('never grow with the key, and survive one that can’t be read', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();

    expect(new ReentrantFlightError('x'.repeat(1_000_000)).message.length).toBeLessThan(300);
    expect(new ReentrantFlightError(proxy).message).toContain('object');
  });

  test('keys that are no strings are named in the message only', () => {
    const error = new ReentrantFlightError(Symbol('k'));

    expect(error.message).toContain('Symbol(k)');
    expect('key' in error).toBe(false);
  });
});
