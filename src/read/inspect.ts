import { freshness, type HeldEntry } from '../entry.js';
import type { Found } from '../ports.js';
import { covers } from './answering.js';
import type { Failure } from './failures.js';
import { WRITES } from './fly.js';
import { pendingEntryOf } from './new-entry.js';
import { MEMORY } from './outcome.js';
import type { Reads } from './reads.js';

/** What is known of a key, without a load. Durations are milliseconds. */
export interface Inspection {
  readonly key: string;
  /**
   * `expired`: kept as a fallback alone. `unknown`: nothing was found, and a storage tier did not answer, so that there may be
   * something. `doubted`: nothing was found here, and what storage holds is not believed, since another process has changed the
   * key and storage has yet to be told.
   */
  readonly state: 'fresh' | 'stale' | 'expired' | 'absent' | 'unknown' | 'doubted';
  /** Where it was found: `'memory'`, `'writes'`, or the name of a storage tier. */
  readonly tier: string | undefined;
  /** Time since the value was loaded. */
  readonly age: number | undefined;
  /** How much longer it is fresh; not positive once it is stale. */
  readonly freshFor: number | undefined;
  readonly tags: readonly string[];
  readonly meta: unknown;
  /** All that was found: by memory, then by pending writes or storage. Storage is not asked while memory has a fresh entry. */
  readonly entries: readonly InspectedEntry[];
  /** Whether a load is under way. */
  readonly loading: boolean;
  /** The last load, if it failed and is not to be tried again yet. */
  readonly failure: InspectedFailure | undefined;
}

/** One entry that {@link Inspection} found. Durations are milliseconds, and not positive once they are over. */
export interface InspectedEntry {
  readonly tier: string;
  readonly state: 'fresh' | 'stale' | 'expired';
  readonly age: number;
  readonly freshFor: number;
  /** How much longer it is served while it is reloaded. */
  readonly staleFor: number;
  /** How much longer it stands in for failed loads. */
  readonly fallbackFor: number;
  readonly tags: readonly string[];
}

/** A failed load that is not repeated yet. */
export interface InspectedFailure {
  readonly error: unknown;
  /** Failures in a row. */
  readonly attempts: number;
  /** Milliseconds until the next try. */
  readonly retryIn: number;
  /** Whether a stored value stood in for it. Where none did, callers get the failure again (`errorTtl`). */
  readonly covered: boolean;
  /** The tier of the entry that stands in for it now. */
  readonly fallback: string | undefined;
}

/** Looks for `key` in memory, then in storage, and leaves everything as it is. */
export async function inspect<V>(reads: Reads<V>, key: string): Promise<Inspection> {
  const { clock, counters, failures, flights, held, storage } = reads;
  const written = await reads.pending?.(key);
  const own = foundIn(MEMORY, held.look(key));
  let found = own;
  if (written !== undefined)
    found = { entry: pendingEntryOf({ reads, key, lifetime: reads.plain.lifetime }, written.value), tier: WRITES };
  const errors = counters.tierErrors;
  const wants = written === undefined && (own === undefined || freshness(own.entry, clock.now()) !== 'fresh');
  if (wants) found = (await storage?.find(key, found)) ?? found;
  const now = clock.now();
  const entries = [...new Set([own, found])].flatMap((each) => (each === undefined ? [] : seen(each, now)));
  const best = found && freshness(found.entry, now) !== 'gone' ? found : undefined;
  const isUnsure = wants && (storage?.isAway === true || counters.tierErrors > errors);
  const missing = storage?.doubts(key) === true ? 'doubted' : isUnsure ? 'unknown' : 'absent';
  const failure = failures.active(key);
  return {
    key,
    state: best ? (freshness(best.entry, now) as 'fresh') : missing,
    tier: best?.tier,
    age: best && Math.max(0, now - best.entry.createdAt),
    freshFor: best && best.entry.freshUntil - now,
    tags: best?.entry.tags ?? [],
    meta: best?.entry.meta,
    entries,
    loading: flights.find(key) !== undefined,
    failure: failure && failureOf(reads, key, failure, [own, found]),
  };
}

function foundIn<V>(tier: string, entry: HeldEntry<V> | undefined): Found<V> | undefined {
  return entry && { entry, tier };
}

function seen<V>({ entry, tier }: Found<V>, now: number): readonly InspectedEntry[] {
  const state = freshness(entry, now);
  if (state === 'gone') return [];
  const { createdAt, freshUntil, staleUntil, errorUntil, tags } = entry;
  const ends = { freshFor: freshUntil - now, staleFor: staleUntil - now, fallbackFor: errorUntil - now };
  return [{ tier, state, age: Math.max(0, now - createdAt), ...ends, tags }];
}

function failureOf<V>(
  reads: Reads<V>,
  key: string,
  failure: Failure,
  found: readonly (Found<V> | undefined)[],
): InspectedFailure {
  const { error, attempts, covered, until } = failure;
  const { clock, plain } = reads;
  const standsIn = (each: Found<V> | undefined): boolean =>
    each !== undefined &&
    freshness(each.entry, clock.now()) !== 'gone' &&
    covers(reads, { key, detail: { ask: plain } }, each.entry, error);
  const fallback = covered ? found.find(standsIn)?.tier : undefined;
  return { error, attempts, covered, retryIn: until - clock.monotonic(), fallback };
}
