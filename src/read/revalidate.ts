import type { Found } from '../ports.js';
import { open } from './lookup.js';
import type { Ask, Reads } from './reads.js';
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
  const { clock, rules, storage } = reads;
  const { entry } = found;
  const ahead = rules.refreshAhead;
  // Where storage goes on with an entry, the end of the tier's own ttl costs a read of storage, and no load.
  const until = storage === undefined ? entry.freshUntil : entry.uncut;
  if (ahead !== undefined && isDueAhead(entry, until, ahead, clock)) revalidate(reads, key, found, ask);
}
