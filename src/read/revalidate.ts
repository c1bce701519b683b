import type { Found } from '../ports.js';
import { count, tell } from './answering.js';
import { open } from './boarding.js';
import type { Outcome } from './outcome.js';
import type { Ask, CacheFlight, Reads } from './reads.js';
import { isDueAhead } from './refresh-ahead.js';

/**
 * Reloads `found` behind the caller's back: once per key however many read it, and not while a failure backs off.
 *
 * A load already under way, whoever leads it, will do; it then goes on even if all who wait for it leave.
 */
export function revalidate<V>(reads: Reads<V>, key: string, found: Found<V>, ask: Ask<V>): void {
  const { flights, failures, counters, events, deferred } = reads;
  if (ask.upstream === undefined) return;
  const current = flights.flying(key);
  if (current !== undefined) {
    current.keepAlive = true;
    return;
  }
  if (failures.active(key) !== undefined) return;

  const flight = open(reads, key, { ...ask, reason: 'revalidate' }, found);
  // `maxFlights` is reached: the stale value was served all the same, and the next read tries again.
  if (flight instanceof Error) return;
  flight.keepAlive = true;
  counters.revalidations += 1;
  if (events.wants('revalidate')) events.emit({ type: 'revalidate', key });
  flights.start(flight, reads.fly);
  if (flight.claim === undefined) deferred.add(flight.promise, 'revalidate', ask.read.waitUntil);
  else deferred.holdRequest(flight, 'revalidate', ask.read.waitUntil);
}

/** Reloads `found`, which is still fresh, where the cache refreshes ahead and it is time. */
export function refreshAhead<V>(reads: Reads<V>, key: string, found: Found<V>, ask: Ask<V>): void {
  const { clock, rules } = reads;
  const ahead = rules.refreshAhead;
  if (ahead !== undefined && isDueAhead(found.entry, clock.now(), ahead, clock)) revalidate(reads, key, found, ask);
}

/** Once per flight, when its key is free and before its subscribers run. */
export function flightEnded<V>(reads: Reads<V>, { key, fenced, detail }: CacheFlight<V>, outcome?: Outcome<V>): void {
  const { readers, ask } = detail;
  if (outcome === undefined) {
    reads.counters.misses += readers;
    return;
  }
  const { status } = outcome;
  count(reads, status, readers);
  tell(reads, key, outcome);
  // What it found was invalidated since: nobody may fall back on it.
  if (fenced) return;
  if (status === 'stale') revalidate(reads, key, outcome, ask);
  if (status === 'hit') refreshAhead(reads, key, outcome, ask);
}
