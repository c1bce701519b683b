import { freshness } from '../entry.js';
import { WRITES } from './fly.js';
import { pendingEntryOf } from './new-entry.js';
import { MEMORY } from './outcome.js';
import type { Reads } from './reads.js';

/** What is known of a key, without a load. Durations are milliseconds. */
export interface Inspection {
  readonly key: string;
  /**
   * `expired`: kept as a fallback alone. `unknown`: nothing was found, and a storage tier did not answer, so that there may be
   * something.
   */
  readonly state: 'fresh' | 'stale' | 'expired' | 'absent' | 'unknown';
  /** Where it was found: `'memory'`, `'writes'`, or the name of a storage tier. */
  readonly tier: string | undefined;
  /** Time since the value was loaded. */
  readonly age: number | undefined;
  /** How much longer it is fresh; not positive once it is stale. */
  readonly freshFor: number | undefined;
  readonly tags: readonly string[];
  readonly meta: unknown;
  /** Whether a load is under way. */
  readonly loading: boolean;
  /** The last load, if it failed and is not to be tried again yet: `attempts` in a row, the next one in `retryIn`. */
  readonly failure: { readonly error: unknown; readonly attempts: number; readonly retryIn: number } | undefined;
}

/** Looks for `key` in memory, then in storage, and leaves everything as it is. */
export async function inspect<V>(reads: Reads<V>, key: string): Promise<Inspection> {
  const { clock, counters, failures, flights, held, storage } = reads;
  const written = await reads.pending?.(key);
  const own = held.look(key);
  let found = own && { entry: own, tier: MEMORY };
  if (written !== undefined)
    found = { entry: pendingEntryOf({ reads, key, lifetime: reads.plain.lifetime }, written.value), tier: WRITES };
  const errors = counters.tierErrors;
  const wants = written === undefined && (own === undefined || freshness(own, clock.now()) !== 'fresh');
  if (wants) found = (await storage?.find(key, found)) ?? found;
  const now = clock.now();
  const entry = found && (freshness(found.entry, now) === 'gone' ? undefined : found.entry);
  const isUnsure = wants && (storage?.isAway === true || counters.tierErrors > errors);
  const failure = failures.active(key);
  return {
    key,
    state: entry ? (freshness(entry, now) as 'fresh') : isUnsure ? 'unknown' : 'absent',
    tier: entry && found?.tier,
    age: entry && Math.max(0, now - entry.createdAt),
    freshFor: entry && entry.freshUntil - now,
    tags: entry?.tags ?? [],
    meta: entry?.meta,
    loading: flights.find(key) !== undefined,
    failure: failure && {
      error: failure.error,
      attempts: failure.attempts,
      retryIn: failure.until - clock.monotonic(),
    },
  };
}
