import { freshness } from './entry.js';
import { CacheClosedError, misuse } from './errors.js';
import type { Ask, Outcome, Stages, Status, Tiered } from './stages.js';

/** Whether a read started a flight, joined one, or needed none. */
export type Role = 'none' | 'leader' | 'follower';

/** What a read found, and what it had to do for it. */
export interface Answer<V> {
  readonly outcome: Outcome<V>;
  readonly role: Role;
}

/** The name of the memory tier in the story of a read. */
export const MEMORY = 'memory';

/** `found` as an answer, if it is fresh or stale and this caller accepts it. */
export function served<V>(stages: Stages<V>, found: Tiered<V> | undefined, ask: Ask<V>): Outcome<V> | undefined {
  if (found === undefined) return undefined;
  const state = freshness(found.entry, stages.clock.now());
  if (state !== 'fresh' && state !== 'stale') return undefined;
  const outcome: Outcome<V> = { ...found, status: state === 'fresh' ? 'hit' : 'stale', loaded: false, stored: true };
  return accepts(stages, outcome, ask) ? outcome : undefined;
}

/** Whether an outcome is fresh enough for this caller. A value just loaded always is. */
export function accepts<V>(stages: Stages<V>, { status, entry }: Outcome<V>, ask: Ask<V>): boolean {
  return (
    status === 'miss' || ask.read.maxStale === Infinity || stages.clock.now() < entry.freshUntil + ask.read.maxStale
  );
}

/** @throws what makes a read impossible from the start: a bad key, a closed cache, an aborted signal. */
export function check<V>(stages: Stages<V>, key: string, ask: Ask<V>): void {
  const problem = problemWith(stages, key);
  if (problem !== undefined) throw problem;
  if (ask.read.signal?.aborted === true) throw ask.read.signal.reason;
}

/** What is wrong with a read of `key`, if anything. */
export function problemWith<V>(stages: Stages<V>, key: string): Error | undefined {
  if (typeof key !== 'string') return misuse('key', 'a string', key);
  return stages.isClosed() ? new CacheClosedError(key) : undefined;
}

/** Tells listeners how a read was answered. */
export function note<V>(stages: Stages<V>, key: string, { status, tier, error }: Outcome<V>): void {
  const { events } = stages;
  if (status === 'miss' || !events.wants(status)) return;
  events.emit(status === 'fallback' ? { type: status, key, tier, error } : { type: status, key, tier });
}

/** Counts `reads` by how they were answered. */
export function count<V>(stages: Stages<V>, status: Status, reads: number): void {
  const { counters } = stages;
  if (status === 'hit') counters.hits += reads;
  else if (status === 'stale') counters.staleHits += reads;
  else if (status === 'miss') counters.misses += reads;
  else counters.fallbacks += reads;
}
