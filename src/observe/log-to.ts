import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { CacheEvent } from '../base/events.js';
import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import { nameOf } from './error-name.js';
import { keyTeller, type KeyPolicy } from './key-policy.js';
import { LineLimit } from './line-limit.js';
import type { LogFields, Logger } from './logger.js';
import { known, type Observed, type ObservedCache, type ObservedWrites } from './observed.js';
import { TierHealth } from './tier-health.js';

/** Options of {@link logTo}. */
export interface LogOptions {
  /** Name of the source in each line. @default none */
  readonly name?: string;
  /** A flight with more subscribers is a crowd, which is a warning. @default 1_000 */
  readonly crowd?: number;
  /** A flight that takes longer is a warning. @default '1s' */
  readonly slow?: Duration;
  /** What lines tell of keys. @default false, which is nothing */
  readonly keys?: KeyPolicy;
  /** Replaced in tests. @default systemClock */
  readonly clock?: Clock;
}

type Level = keyof Logger;
type Line = (level: Level, message: string, fields: LogFields) => void;
type FlightEvent = Extract<CacheEvent, { type: 'flight' }>;

interface LogSettings {
  readonly crowd: number;
  readonly slow: number;
  readonly tellKey: (key: string) => string | undefined;
}

/**
 * Logs what somebody who runs `source` has to know: flights that start, draw a crowd, take too long and end; storage tiers
 * lost and back; writes given up. The returned function ends that.
 *
 * Each line comes once per cause, and at most ten times per second and kind; a last one says how many were left out. Values are
 * never logged, keys only by the option `keys`. A logger that throws disturbs nothing.
 *
 * @throws TypeError for what has no events, or an option that makes no sense.
 */
export function logTo(source: Observed, logger: Logger, options: LogOptions = {}): () => void {
  const { name, crowd = 1_000, slow = '1s', keys = false, clock = systemClock } = options;
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    if (typeof logger?.[level] !== 'function') throw misuse(`logger.${level}`, 'a function', logger?.[level]);
  if (!(crowd >= 1)) throw misuse('crowd', 'a number from 1', crowd);
  const settings = { crowd, slow: parseDuration('slow', slow), tellKey: keyTeller(keys) };
  const found = known(source);
  const limit = new LineLimit(clock, (level, message, fields) => {
    try {
      logger[level](name === undefined ? fields : { name, ...fields }, message);
    } catch {
      // A logger's failure is its own.
    }
  });
  const line: Line = (level, message, fields) => limit.write(level, message, fields);
  if (found.kind === 'cache') return all([...logCache(found.source, line, settings), () => limit.stop()]);
  if (found.kind === 'writes') return all([...logWrites(found.source, line, settings), () => limit.stop()]);
  throw misuse('source', 'a TieredCache or a WriteBehind: others have no events', source);
}

function logCache(cache: ObservedCache, line: Line, settings: LogSettings): (() => void)[] {
  const health = new TierHealth();
  const crowds = new Set<number>();
  return [
    cache.on('flight', (event) => logFlight(event, line, crowds, settings)),
    cache.on('storage', ({ tier, outcome }) => {
      const change = health.note(tier, outcome);
      if (change === 'lost') line('error', 'storage tier lost', { tier, outcome });
      if (change === 'back') line('info', 'storage tier back', { tier });
    }),
    cache.on('error', ({ source, error }) => line('warn', 'handed-in function failed', { source, ...nameOf(error) })),
  ];
}

function logFlight(event: FlightEvent, line: Line, crowds: Set<number>, settings: LogSettings): void {
  const told = keyed(event.key, settings);
  switch (event.phase) {
    case 'lead':
      return line('debug', 'flight started', { ...told, reason: event.reason });
    case 'join': {
      const { flight, subscribers } = event;
      if (subscribers <= settings.crowd || crowds.has(flight)) return;
      crowds.add(flight);
      return line('warn', 'crowd', { ...told, subscribers });
    }
    case 'settle': {
      crowds.delete(event.flight);
      const { reason, outcome, fallback, subscribers } = event;
      const fields = { ...told, reason, outcome, fallback, subscribers, durationMs: Math.round(event.durationMs) };
      if (outcome === 'timeout') return line('error', 'flight exceeded maxDuration', fields);
      return line(event.durationMs > settings.slow ? 'warn' : 'debug', 'flight settled', fields);
    }
  }
}

function logWrites(writes: ObservedWrites, line: Line, settings: LogSettings): (() => void)[] {
  return [
    writes.on('dead-letter', ({ key }) => line('error', 'write became a dead letter', keyed(key, settings))),
    writes.on('batch-error', ({ size, error }) => line('warn', 'sink failed', { size, ...nameOf(error) })),
    writes.on('queue-error', ({ operation, error }) =>
      line('error', 'queue of writes failed', { operation, ...nameOf(error) }),
    ),
  ];
}

function keyed(key: string, { tellKey }: LogSettings): LogFields {
  const told = tellKey(key);
  return told === undefined ? {} : { key: told };
}

function all(leave: readonly (() => void)[]): () => void {
  return () => {
    for (const one of leave) one();
  };
}
