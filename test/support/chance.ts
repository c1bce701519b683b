/** Repeatable chance: the same seed gives the same numbers. */
export interface Chance {
  readonly seed: number;
  /** A number from 0 up to, but not including, 1. */
  next(): number;
  /** A whole number from 0 up to, but not including, `below`. */
  below(below: number): number;
  oneOf<T>(items: readonly T[]): T;
  /** A chance of its own for one of several users that take turns in an unpredictable order. */
  fork(): Chance;
}

/** Chance from `seed` (mulberry32). */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    seed,
    next,
    below,
    oneOf: (items) => items[below(items.length)]!,
    fork: () => chanceOf(below(2 ** 32)),
  };
}

/** The seed to use: that of the environment variable `SOLOFLIGHT_SEED`, or a new one. */
export function seedOfRun(): number {
  const given = process.env['SOLOFLIGHT_SEED'];
  if (given === undefined) return Math.floor(Math.random() * 2 ** 32);
  if (!/^\d+$/.test(given)) throw new TypeError(`Expected SOLOFLIGHT_SEED to be a whole number, got '${given}'`);
  return Number(given);
}

/** The chance of one test. If the test fails, a message tells how to repeat it. */
export function chanceFor(test: { readonly onTestFailed: (run: () => void) => void }): Chance {
  const seed = seedOfRun();
  test.onTestFailed(() => console.error(`Repeat the chance of this test with SOLOFLIGHT_SEED=${seed}`));
  return chanceOf(seed);
}
