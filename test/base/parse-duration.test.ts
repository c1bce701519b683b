import { describe, expect, test } from 'vitest';

import { parseDuration } from '../../src/index.js';

describe('a duration from an environment variable', () => {
  test.each([
    ['250ms', 250],
    ['1.5s', 1_500],
    ['7d', 604_800_000],
    [5, 5],
    [Infinity, Infinity],
  ])('%s is %s milliseconds', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '10', 'soon', '-1s', '1 s', -1, NaN])('%s is refused, naming the variable', (text) => {
    expect(() => parseDuration(text, 'CACHE_TTL')).toThrow('Expected `CACHE_TTL` to be a duration');
  });
});
