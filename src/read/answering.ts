import { rejection } from '../base/promises.js';
import { freshness, type HeldEntry } from '../entry.js';
import { CacheClosedError, misuse } from '../errors.js';
import { MEMORY, type Answer, type Outcome } from './outcome.js';
import type { Ask, Reads } from './reads.js';

/** What a caller gets because a load of `key` failed a moment ago: that failure, or what memory has to stand in for it. */
export function afterFailure<V>(reads: Reads<V>, key: string, ask: Ask<V>): Promise<Answer<V>> | undefined {
  const failure = reads.failures.active(key);
  if (failure === undefined) return undefined;
  const { error, covered } = failure;
  if (!covered) {
    reads.counters.misses += 1;
    return rejection(error);
  }
  const entry = reads.held.peek(key);
  if (entry === undefined || freshness(entry, reads.clock.now()) === 'gone') return undefined;
  if (!covers(reads, { key, detail: { ask } }, entry, error)) return undefined;
  const outcome: Outcome<V> = { entry, tier: MEMORY, status: 'fallback', error, loaded: false, stored: true };
  if (!accepts(reads, outcome, ask, reads.marks.epoch)) return undefined;
  count(reads, key, outcome);
  return Promise.resolve({ outcome, role: 'none' });
}

/** Whether the outcome of a flight is what a caller asked for at `epoch`: fresh enough, and no tag of it invalidated before. */
export function accepts<V>(reads: Reads<V>, { entry, status }: Outcome<V>, ask: Ask<V>, epoch: number): boolean {
  // A value just loaded is always fresh enough.
  const isFresh = status === 'miss' || reads.clock.now() < entry.freshUntil + ask.read.maxStale;
  return isFresh && reads.held.suits(entry, epoch, status === 'fallback');
}

/**
 * Whether `entry` may stand in for a load of `key` that failed with `error`. What was said with the value comes before what the
 * read says.
 */
export function covers<V>(
  { events }: Reads<V>,
  { key, detail }: { readonly key: string; readonly detail: { readonly ask: Pick<Ask<V>, 'lifetime'> } },
  entry: HeldEntry<V>,
  error: unknown,
): boolean {
  const when = entry.covers ?? detail.ask.lifetime.covers;
  if (when === undefined) return true;
  try {
    const answer: unknown = when(error, key);
    if (typeof answer === 'boolean') return answer;
    throw misuse('result of staleIfError.when', 'a boolean', answer);
  } catch (failure) {
    events.emit({ type: 'error', source: 'staleIfError.when', key, error: failure });
    return false;
  }
}

/** What is wrong with a read of `key`, if anything. */
export function problemWith<V>({ life }: Reads<V>, key: unknown): Error | undefined {
  if (typeof key !== 'string') return misuse('key', 'a string', key);
  return life.closed ? new CacheClosedError(key) : undefined;
}

/** Tells listeners how a read was answered. Of a load there are events of its own. */
export function tell<V>(
  { events }: Reads<V>,
  key: string,
  { status, tier, error }: Pick<Outcome<V>, 'status' | 'tier' | 'error'>,
): void {
  if (status === 'miss' || !events.wants(status)) return;
  events.emit(status === 'fallback' ? { type: status, key, tier, error } : { type: status, key, tier });
}

/** Counts `times` reads by how they were answered, and tells of each: statistics and events are one story. */
export function count<V>(
  reads: Reads<V>,
  key: string,
  outcome: Pick<Outcome<V>, 'status' | 'tier' | 'error'>,
  times = 1,
): void {
  const names = { hit: 'hits', stale: 'staleHits', miss: 'misses', fallback: 'fallbacks' } as const;
  reads.counters[names[outcome.status]] += times;
  if (reads.events.heard) for (let read = 0; read < times; read += 1) tell(reads, key, outcome);
}
