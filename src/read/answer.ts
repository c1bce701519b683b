import { freshness } from '../entry.js';
import { CacheClosedError, misuse } from '../errors.js';
import { usable } from './held.js';
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
  const entry = found === undefined ? undefined : usable(stages, found.entry);
  if (found === undefined || entry === undefined) return undefined;
  const state = freshness(entry, stages.clock.now());
  if (state !== 'fresh' && state !== 'stale') return undefined;
  const { tier } = found;
  const status = state === 'fresh' ? 'hit' : 'stale';
  const outcome: Outcome<V> = { entry, tier, status, loaded: false, stored: true };
  return isFreshEnough(stages, outcome, ask) ? outcome : undefined;
}

/** Whether the outcome of a flight is what a caller asked for at the epoch `asked`: fresh enough, and no tag of it invalidated before. */
export function accepts<V>(stages: Stages<V>, outcome: Outcome<V>, ask: Ask<V>, asked: number): boolean {
  const { marks, space } = stages;
  return marks.suits(space, outcome.entry, asked, outcome.status === 'fallback') && isFreshEnough(stages, outcome, ask);
}

/** A value just loaded always is. */
function isFreshEnough<V>(stages: Stages<V>, { status, entry }: Outcome<V>, ask: Ask<V>): boolean {
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
