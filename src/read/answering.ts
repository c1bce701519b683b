import { CacheClosedError, misuse } from '../errors.js';
import type { Outcome, Status } from './outcome.js';
import type { Ask, Reads } from './reads.js';

/** Whether the outcome of a flight is what a caller asked for at `epoch`: fresh enough, and no tag of it invalidated before. */
export function accepts<V>(reads: Reads<V>, { entry, status }: Outcome<V>, ask: Ask<V>, epoch: number): boolean {
  // A value just loaded is always fresh enough.
  const isFresh = status === 'miss' || reads.clock.now() < entry.freshUntil + ask.read.maxStale;
  return isFresh && reads.held.suits(entry, epoch, status === 'fallback');
}

/** What is wrong with a read of `key`, if anything. */
export function problemWith<V>(reads: Reads<V>, key: string): Error | undefined {
  if (typeof key !== 'string') return misuse('key', 'a string', key);
  return reads.isClosed() ? new CacheClosedError(key) : undefined;
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

/** Counts `times` reads by how they were answered. */
export function count<V>({ counters }: Reads<V>, status: Status, times: number): void {
  if (status === 'hit') counters.hits += times;
  else if (status === 'stale') counters.staleHits += times;
  else if (status === 'miss') counters.misses += times;
  else counters.fallbacks += times;
}
