import { describe, expect, test } from 'vitest';

import { Breaker } from '../../src/tiers/breaker.js';

/** A breaker that opened at instant 0. */
function opened(): Breaker {
  const breaker = new Breaker();
  for (let failure = 0; failure < 5; failure += 1) breaker.fail(0);
  return breaker;
}

describe('a breaker that is closed', () => {
  test('lets everything through until five calls in a row have failed', () => {
    const breaker = new Breaker();

    for (let failure = 0; failure < 4; failure += 1) breaker.fail(0);
    expect(breaker.admit(0)).toBe('closed');
    breaker.fail(0);

    expect(breaker.admit(0)).toBe('open');
  });

  test('starts counting anew at every success', () => {
    const breaker = new Breaker();

    for (let round = 0; round < 10; round += 1) {
      for (let failure = 0; failure < 4; failure += 1) breaker.fail(0);
      breaker.succeed();
    }

    expect(breaker.admit(0)).toBe('closed');
  });
});

describe('a breaker that is open', () => {
  test('lets one call through after five seconds, and only one until that is over', () => {
    const breaker = opened();

    expect(breaker.admit(4_999)).toBe('open');
    expect(breaker.admit(5_000)).toBe('probe');
    expect(breaker.admit(5_000)).toBe('open');
    expect(breaker.admit(1_000_000)).toBe('open');
  });

  test('closes when that call succeeds, and needs five failures to open again', () => {
    const breaker = opened();

    breaker.admit(5_000);
    breaker.succeed();
    for (let failure = 0; failure < 4; failure += 1) breaker.fail(5_000);

    expect(breaker.admit(5_000)).toBe('closed');
  });

  test('doubles its pause each time that call fails, up to a minute', () => {
    const breaker = opened();
    let now = 0;

    for (const pause of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      now += pause;
      expect(breaker.admit(now - 1)).toBe('open');
      expect(breaker.admit(now)).toBe('probe');
      breaker.fail(now);
    }
  });

  test('pauses for five seconds again once it has been closed in between', () => {
    const breaker = opened();
    breaker.admit(5_000);
    breaker.fail(5_000);
    breaker.admit(15_000);
    breaker.succeed();

    for (let failure = 0; failure < 5; failure += 1) breaker.fail(15_000);

    expect(breaker.admit(19_999)).toBe('open');
    expect(breaker.admit(20_000)).toBe('probe');
  });

  test('does not pause longer for calls that were under way when it opened and fail later', () => {
    const breaker = opened();

    for (let late = 1; late < 100; late += 1) breaker.fail(late * 40);

    expect(breaker.admit(5_000)).toBe('probe');
  });

  test('closes at a success of a call that was under way when it opened', () => {
    const breaker = opened();

    breaker.succeed();

    expect(breaker.admit(1)).toBe('closed');
  });

  test('counts a call that fails late as the probe if there is one, and the probe then not again', () => {
    const breaker = opened();
    breaker.admit(5_000);

    breaker.fail(5_100);
    breaker.fail(5_200);

    expect(breaker.admit(15_099)).toBe('open');
    expect(breaker.admit(15_100)).toBe('probe');
  });
});
