import { freshness, type Freshness } from '../entry.js';
import type { Found } from '../ports.js';
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
  readonly meta: unknown;
}

/** A failed load that is not repeated yet. */
export interface InspectedFailure {
  readonly error: unknown;
  /** Failures in a row. */
  readonly attempts: number;
  /** Milliseconds until the next try. */
  readonly retryIn: number;
  /** Whether a stored value stood in for it, as one would now. Where none did, callers get the failure again (`errorTtl`). */
  readonly covered: boolean;
}

/** Looks for `key` in memory, then in storage, and leaves everything as it is. */
export async function inspect<V>(reads: Reads<V>, key: string): Promise<Inspection> {
  const { clock, counters, failures, flights, held, plain, storage } = reads;
  const written = await reads.pending?.(key);
  const entry = held.look(key);
  const own = entry && { entry, tier: MEMORY };
  let found: Found<V> | undefined = own;
  if (written !== undefined)
    found = { entry: pendingEntryOf({ reads, key, lifetime: plain.lifetime }, written.value), tier: WRITES };
  const errors = counters.tierErrors;
  const wants = written === undefined && (entry === undefined || freshness(entry, clock.now()) !== 'fresh');
  if (wants) found = (await storage?.find(key, found)) ?? found;
  const now = clock.now();
  const entries = [...new Set([own, found])].flatMap((each) => each ?? []).map((each) => viewOf(each, now));
  const usable = entries.filter(({ state }) => state !== 'gone') as readonly InspectedEntry[];
  const isUnsure = wants && (storage?.isAway === true || counters.tierErrors > errors);
  const failure = failures.active(key);
  return {
    ...{ key, tags: [], state: storage?.doubts(key) === true ? 'doubted' : isUnsure ? 'unknown' : 'absent' },
    ...usable.at(-1),
    ...{ entries: usable, loading: flights.find(key) !== undefined },
    failure: failure && { ...failure, retryIn: failure.until - clock.monotonic() },
  } as Inspection;
}

/** An entry as it is told of; one that can't be used any more is `gone`. */
function viewOf<V>(
  { entry, tier }: Found<V>,
  now: number,
): Omit<InspectedEntry, 'state'> & { readonly state: Freshness } {
  const { tags, meta } = entry;
  return {
    ...{ tier, tags, meta, state: freshness(entry, now), age: Math.max(0, now - entry.createdAt) },
    freshFor: entry.freshUntil - now,
    staleFor: entry.staleUntil - now,
    fallbackFor: entry.errorUntil - now,
  };
}
