import { resolveRetry, type Retry, type RetryOptions } from '../base/backoff.js';
import { checkClock, checkCount, checkFunction, checkMethods, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration, MaybePromise, WriteQueue } from '../contracts.js';
import { misuse } from '../errors.js';
import { deadLetterQueue } from './memory-queue.js';
import type { PendingWrite } from './pending-write.js';

/** The second argument of a sink. */
export interface SinkContext {
  /** Aborts when the delivery takes longer than `maxDuration`. */
  readonly signal: AbortSignal;
  /** The highest number of attempts among these writes, this one included. */
  readonly attempt: number;
}

/**
 * The outcome of one write.
 *
 * `'ok'`: taken. `'retry'`, or an `Error`: to be tried again. `reject`: never to be tried again. `conflict`: not taken, since
 * the sink holds this value; `at` (epoch milliseconds) tells since when.
 */
export type WriteOutcome<V> =
  | 'ok'
  | 'retry'
  | Error
  | { readonly reject: string }
  | { readonly conflict: V; readonly at?: number };

/**
 * Takes a batch of writes, oldest first, never two of one key.
 *
 * Returns one outcome per write, in their order, or nothing if all were taken. After an exception, or an answer of another
 * shape, nobody knows what was taken: all are tried again.
 */
export type Sink<V> = (
  writes: readonly PendingWrite<V>[],
  context: SinkContext,
) => MaybePromise<readonly WriteOutcome<V>[] | void>;

/** Options of a `WriteBehind`. */
export interface WriteBehindOptions<V> {
  /** Called with one batch at a time. */
  readonly sink: Sink<V>;
  /** Where accepted writes live until they are delivered. @default the memory of this `WriteBehind` */
  readonly queue?: WriteQueue;
  /** The longest wait for another owner of the queue to end, where the queue tells its owners apart. `Infinity` waits for ever. @default '30s' */
  readonly ownerWait?: Duration;
  /** The longest time that the first write waits for others. `Infinity`: until `maxBatch` or `flush()`. @default '5s' */
  readonly flushEvery?: Duration;
  /** The most writes per delivery; that many new ones don't wait for `flushEvery`. An integer ≥ 1. @default 100 */
  readonly maxBatch?: number;
  /** The most pending writes. Those of one key that the sink has not seen yet count as one. An integer ≥ 1 or `Infinity`. @default Infinity */
  readonly maxPending?: number;
  /** What happens to writes beyond `maxPending`. @default 'wait' */
  readonly overflow?: 'wait' | 'reject';
  /** Combines a waiting value with the next one of its key. @default the next one alone */
  readonly merge?: (pending: V, incoming: V, key: string) => V;
  /**
   * Decides a conflict: returns the value to write instead, or `'remote'` to leave the sink's. For a delete, `local` is
   * `undefined`, and returning that deletes anyway. Without this option, the later value wins if the sink tells
   * `at`; otherwise the write becomes a dead letter.
   */
  readonly resolve?: (local: V, remote: V, key: string, write: PendingWrite<V>) => V | 'remote';
  /** Gives `update` the current value of a key without pending writes. @default () => undefined */
  readonly current?: (key: string) => MaybePromise<V | undefined>;
  /** A write that has been tried for longer becomes a dead letter. Time in which no process lived does not count. @default Infinity */
  readonly retryFor?: Duration;
  /** Pauses between attempts, and the number of attempts. @default { initial: '1s', max: '1m', attempts: Infinity } */
  readonly retry?: RetryOptions;
  /** A delivery that takes longer has its signal aborted, and is given up when it takes twice as long. `Infinity` turns it off. @default '30s' */
  readonly maxDuration?: Duration;
  /**
   * Replaces timers: called with the epoch millisecond at which `flush()` is due next, whenever that changes.
   * For a Durable Object, `(dueAt) => storage.setAlarm(dueAt)`.
   */
  readonly schedule?: (dueAt: number) => MaybePromise<void>;
  /** Time and chance. @default systemClock */
  readonly clock?: Clock;
}

type Required_ = 'sink' | 'queue' | 'maxBatch' | 'maxPending' | 'clock';

/** {@link WriteBehindOptions} with the defaults filled in. Durations are milliseconds. */
export interface WriteSettings<V> extends Required<Pick<WriteBehindOptions<V>, Required_>> {
  /** Whether the queue ends with the `WriteBehind`. */
  readonly ownQueue: boolean;
  readonly ownerWait: number;
  readonly flushEvery: number;
  readonly refuse: boolean;
  readonly merge: WriteBehindOptions<V>['merge'];
  readonly resolve: WriteBehindOptions<V>['resolve'];
  readonly current: WriteBehindOptions<V>['current'];
  readonly schedule: WriteBehindOptions<V>['schedule'];
  readonly retryFor: number;
  readonly retry: Retry;
  readonly maxDuration: number;
}

const DEFAULTS = Object.freeze({ ownerWait: 30_000, flushEvery: 5_000, maxBatch: 100, maxDuration: 30_000 });
const NAMES = [
  ...['sink', 'queue', 'flushEvery', 'maxBatch', 'maxPending', 'overflow', 'merge', 'resolve', 'current'],
  ...['ownerWait', 'retryFor', 'retry', 'maxDuration', 'schedule', 'clock'],
];

/** @throws TypeError for an option that makes no sense. */
export function resolveWriteOptions<V>(options: WriteBehindOptions<V>): WriteSettings<V> {
  checkObject('options', options);
  checkNames(options, NAMES);
  const { sink, queue, maxBatch = DEFAULTS.maxBatch, maxPending = Infinity, overflow = 'wait' } = options;
  const { merge, resolve, current, schedule, clock = systemClock } = options;
  if (typeof sink !== 'function') throw misuse('sink', 'a function', sink);
  if (queue !== undefined) checkMethods('queue', 'a write queue', queue, ['load', 'put', 'remove', 'listDead']);
  checkCount('maxBatch', maxBatch);
  checkCount('maxPending', maxPending);
  if (overflow !== 'wait' && overflow !== 'reject') throw misuse('overflow', "'wait' or 'reject'", overflow);
  for (const [name, value] of Object.entries({ merge, resolve, current, schedule })) checkFunction(name, value);
  checkClock(clock);
  const lasting = { zero: false, infinite: true };
  return {
    sink,
    queue: queue ?? deadLetterQueue(),
    ownQueue: queue === undefined,
    ownerWait: parseDuration('ownerWait', options.ownerWait ?? DEFAULTS.ownerWait, { infinite: true }),
    flushEvery: parseDuration('flushEvery', options.flushEvery ?? DEFAULTS.flushEvery, { infinite: true }),
    maxBatch,
    maxPending,
    refuse: overflow === 'reject',
    merge,
    resolve,
    current,
    schedule,
    retryFor: parseDuration('retryFor', options.retryFor ?? Infinity, { infinite: true }),
    retry: resolveRetry(options.retry ?? {}, Infinity),
    maxDuration: parseDuration('maxDuration', options.maxDuration ?? DEFAULTS.maxDuration, lasting),
    clock,
  };
}
