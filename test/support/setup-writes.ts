import { manualClock, type ManualClock } from '../../src/testing/index.js';
import {
  WriteBehind,
  type PendingWrite,
  type SinkContext,
  type WriteBehindOptions,
  type WriteEvent,
  type WriteOutcome,
} from '../../src/writes/index.js';
import { WRITE_EVENT_TYPES } from '../../src/writes/write-events.js';

/** One delivery, waiting for the test to answer it. */
interface SinkCall<V> {
  readonly writes: readonly PendingWrite<V>[];
  readonly context: SinkContext;
  readonly answer: (outcomes?: readonly WriteOutcome<V>[]) => void;
  readonly fail: (reason: unknown) => void;
}

export interface WriteParts<V> {
  readonly clock: ManualClock;
  readonly writes: WriteBehind<V>;
  readonly calls: readonly SinkCall<V>[];
  /** The deliveries so far, as `key=value` (`key-` for a delete). */
  readonly delivered: () => string[][];
  readonly events: readonly WriteEvent[];
  readonly settle: () => Promise<void>;
}

export function picture({ key, kind, value }: PendingWrite<unknown>): string {
  return kind === 'delete' ? `${key}-` : `${key}=${String(value)}`;
}

/** A write-behind whose every delivery waits for the test, unless a `sink` is given. */
export function setupWrites<V = string>(options: Partial<WriteBehindOptions<V>> = {}): WriteParts<V> {
  const clock = (options.clock as ManualClock | undefined) ?? manualClock();
  const calls: SinkCall<V>[] = [];
  const sink: WriteBehindOptions<V>['sink'] = (writes, context) =>
    new Promise((resolve, reject) => calls.push({ writes, context, answer: resolve, fail: reject }));
  const writes = new WriteBehind<V>({ sink, clock, ...options });
  const events: WriteEvent[] = [];
  for (const type of WRITE_EVENT_TYPES) writes.on(type, (event) => events.push(event));
  return {
    clock,
    writes,
    calls,
    events,
    delivered: () => calls.map((call) => call.writes.map(picture)),
    settle: () => clock.advanceAsync(0),
  };
}

/** The value or the rejection of each promise. */
export function outcomesOf(promises: readonly Promise<unknown>[]): Promise<unknown[]> {
  return Promise.all(promises.map((promise) => promise.catch((reason: unknown) => ({ reason }))));
}
