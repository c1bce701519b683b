import { resolveRetry, type Retry, type RetryOptions } from '../base/backoff.js';
import { checkClock, checkCount, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';

/** The second argument of a batch's handler. */
export interface BatchContext {
  /** Aborts when the call takes longer than `maxDuration`, or when all callers of the batch have left. */
  readonly signal: AbortSignal;
  /** 1 for the first call with these items, 2 for the next one, and so on. */
  readonly attempt: number;
}

/**
 * Handles several items at once.
 *
 * Returns one result per item, in the order of the items; an `Error` among them fails its item alone. Returning nothing
 * means `undefined` for all items. An exception fails all of them.
 */
export type HandleBatch<I, O> = (
  items: readonly I[],
  context: BatchContext,
) => MaybePromise<readonly (O | Error)[] | void>;

/** How a batch that failed as a whole is tried again. */
export interface BatchRetryOptions extends RetryOptions {
  /**
   * Whether a batch that failed in all its attempts is split in halves, again and again, down to the single items that
   * fail. The others then get their results. The handler must bear seeing an item again. @default false
   */
  readonly split?: boolean;
}

/** Options of a `Batcher`. */
export interface BatcherOptions<I, O = void> {
  /** Called with one batch at a time. */
  readonly handle: HandleBatch<I, O>;
  /** `'window'`: the first item starts the clock. `'debounce'`: each item restarts it. @default 'window' */
  readonly mode?: 'window' | 'debounce';
  /** How long items are collected; 0 until the turn of the event loop ends. @default '10s' */
  readonly window?: Duration;
  /** In mode `'debounce'`, the longest wait of an item; `Infinity` for no bound. @default ten times `window` */
  readonly maxWait?: Duration;
  /** The largest batch; one that reaches this size waits no longer. An integer ≥ 1 or `Infinity`. @default Infinity */
  readonly maxItems?: number;
  /** A call that takes longer has its signal aborted, and is given up when it takes twice as long. `Infinity` turns it off. @default '30s' */
  readonly maxDuration?: Duration;
  /** What happens to a batch that failed as a whole. @default { attempts: 1 } */
  readonly retry?: BatchRetryOptions;
  /** Time and chance. @default systemClock */
  readonly clock?: Clock;
}

/** {@link BatcherOptions} with the defaults filled in. Durations are milliseconds. */
export interface BatcherSettings<I, O> {
  readonly handle: HandleBatch<I, O>;
  readonly debounce: boolean;
  readonly window: number;
  readonly maxWait: number;
  readonly maxItems: number;
  readonly maxDuration: number;
  readonly retry: Retry;
  readonly split: boolean;
  readonly clock: Clock;
}

const DEFAULTS = Object.freeze({ window: 10_000, maxDuration: 30_000, attempts: 3 });
const NAMES = ['handle', 'mode', 'window', 'maxWait', 'maxItems', 'maxDuration', 'retry', 'clock'];
const ENDLESS = Object.freeze({ infinite: true });

/** @throws TypeError for an option that makes no sense. */
export function resolveBatcherOptions<I, O>(options: BatcherOptions<I, O>): BatcherSettings<I, O> {
  checkObject('options', options);
  checkNames(options, NAMES);
  const { handle, mode = 'window', maxItems = Infinity, retry, clock = systemClock } = options;
  if (typeof handle !== 'function') throw misuse('handle', 'a function', handle);
  if (mode !== 'window' && mode !== 'debounce') throw misuse('mode', "'window' or 'debounce'", mode);
  checkCount('maxItems', maxItems);
  checkClock(clock);
  const window = parseDuration('window', options.window ?? DEFAULTS.window, ENDLESS);
  if (mode === 'window' && options.maxWait !== undefined)
    throw misuse('maxWait', "left out, or `mode` to be 'debounce'", options.maxWait);
  const maxWait = parseDuration('maxWait', options.maxWait ?? 10 * window, ENDLESS);
  if (maxWait < window) throw misuse('maxWait', 'at least `window`', options.maxWait);
  const split = retry?.split ?? false;
  const resolved = resolveRetry(retry ?? {}, retry === undefined ? 1 : DEFAULTS.attempts, ['split']);
  if (typeof split !== 'boolean') throw misuse('retry.split', 'a boolean', split);
  return {
    handle,
    debounce: mode === 'debounce',
    window,
    maxWait,
    maxItems,
    maxDuration: parseDuration('maxDuration', options.maxDuration ?? DEFAULTS.maxDuration, {
      zero: false,
      infinite: true,
    }),
    retry: resolved,
    split,
    clock,
  };
}
