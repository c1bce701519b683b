import { checkClock, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';

/** Options of `indexedDbStorage` and `indexedDbQueue`. */
export interface IndexedDbOptions {
  /** Name of the database, which must hold nothing else. @default 'soloflight', and 'soloflight-writes' for a queue */
  readonly database?: string;
  /** How long a call waits for the browser to open the database, another tab's upgrade included. @default '5s' */
  readonly openTimeout?: Duration;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** {@link IndexedDbOptions} with the defaults filled in. Durations are milliseconds. */
export interface IndexedDbSettings {
  readonly name: string;
  readonly openTimeout: number;
  readonly clock: Clock;
}

/** @throws TypeError for an option that makes no sense. */
export function resolveDatabase(
  options: IndexedDbOptions,
  defaultName: string,
  more: readonly string[] = [],
): IndexedDbSettings {
  checkObject('options', options);
  checkNames(options, ['database', 'openTimeout', 'clock', ...more]);
  const { database: name = defaultName, clock = systemClock } = options;
  if (typeof name !== 'string' || name === '') throw misuse('database', 'a name of at least one character', name);
  checkClock(clock);
  return { name, clock, openTimeout: parseDuration('openTimeout', options.openTimeout ?? '5s', { zero: false }) };
}
