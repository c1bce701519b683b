import { checkFunction, checkObject, checkSignal } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import type { Duration } from '../contracts.js';

/** Options of one read. They bind this caller only. */
export interface ReadOptions {
  /** Aborts this caller's wait; the load is aborted only when nobody is left. */
  readonly signal?: AbortSignal;
  /** How stale an answer this caller accepts: time since `freshUntil`. 0 means fresh only. @default Infinity */
  readonly maxStale?: Duration;
  /** Overrides the cache's `softTimeout`. Does not apply to `refresh` and `reload`, which wait for a load. */
  readonly softTimeout?: Duration;
  /** This caller's patience: beyond it, a fallback or `CallerTimeoutError`, also from `refresh`. The load goes on. @default Infinity */
  readonly timeout?: Duration;
  /** Takes background work that this read started, as a Worker's `waitUntil` does. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
}

/** {@link ReadOptions}, checked and parsed. */
export interface ReadSettings {
  readonly signal: AbortSignal | undefined;
  readonly maxStale: number;
  readonly softTimeout: number | undefined;
  readonly timeout: number;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
  /** Whether the caller takes whatever a flight brings, whenever it does. */
  readonly isPatient: boolean;
}

/** What a read without options asks for. */
export const ANY_READ: ReadSettings = Object.freeze({
  signal: undefined,
  maxStale: Infinity,
  softTimeout: undefined,
  timeout: Infinity,
  waitUntil: undefined,
  isPatient: true,
});

/** Checks the options of one read. */
export function resolveRead(options: ReadOptions | undefined): ReadSettings {
  if (options === undefined) return ANY_READ;
  checkObject('options', options);
  const { signal, maxStale, softTimeout, timeout, waitUntil } = options;
  checkSignal(signal);
  checkFunction('waitUntil', waitUntil);
  const window = (name: 'maxStale' | 'timeout'): number =>
    parseDuration(name, options[name] ?? Infinity, { infinite: true });
  return {
    signal,
    maxStale: window('maxStale'),
    softTimeout: softTimeout === undefined ? undefined : parseDuration('softTimeout', softTimeout, { infinite: true }),
    timeout: window('timeout'),
    waitUntil,
    isPatient: [signal, maxStale, softTimeout, timeout, waitUntil].every((option) => option === undefined),
  };
}
