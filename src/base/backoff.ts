import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import { checkCount, checkNames, checkObject } from './checks.js';
import { parseDuration } from './duration.js';

/** How often and after which pauses something that failed is tried again. */
export interface RetryOptions {
  /** Tries in all, the first included; an integer ≥ 1 or `Infinity`. No write is given up for the failure of a batch it shared. @default 3 for a `Batcher`, Infinity for a `WriteBehind` */
  readonly attempts?: number;
  /** Pause after the first failure; each further one doubles it. Above 0. @default '1s' */
  readonly initial?: Duration;
  /** The longest pause. At least `initial`. @default '1m' */
  readonly max?: Duration;
}

/** {@link RetryOptions} with nothing left open. Durations are milliseconds. */
export interface Retry {
  readonly attempts: number;
  readonly initial: number;
  readonly max: number;
}

const DEFAULTS = Object.freeze({ initial: 1_000, max: 60_000 });
const NAMES = ['attempts', 'initial', 'max'];

/** @throws TypeError for an option that makes no sense. `more` are names that the caller looks at itself. */
export function resolveRetry(options: RetryOptions, attempts: number, more: readonly string[] = []): Retry {
  checkObject('retry', options);
  checkNames(options, [...NAMES, ...more]);
  const initial = parseDuration('retry.initial', options.initial ?? DEFAULTS.initial, { zero: false });
  const max = parseDuration('retry.max', options.max ?? Math.max(DEFAULTS.max, initial), { zero: false });
  if (max < initial) throw misuse('retry.max', 'at least `retry.initial`', options.max);
  checkCount('retry.attempts', options.attempts ?? attempts);
  return { attempts: options.attempts ?? attempts, initial, max };
}

/**
 * The pause after `failures` in a row, in milliseconds: doubling, the second half of it by chance.
 *
 * Never 0, so that what is tried again at once can't spin.
 */
export function pauseAfter(failures: number, { initial, max }: Retry, clock: Clock): number {
  const longest = Math.min(max, initial * 2 ** (failures - 1));
  return (longest / 2) * (1 + clock.random());
}
