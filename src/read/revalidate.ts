import { isDueAhead } from './refresh-ahead.js';
import { holdRequest } from '../requests/request-scope.js';
import { createJourney, type Ask, type Stages, type Tiered } from './stages.js';

/**
 * Reloads `found` behind the caller's back: once per key however many read it, and not while a failure backs off.
 *
 * A load already under way, whoever leads it, will do; it then goes on even if all who wait for it leave.
 */
export function revalidate<V>(stages: Stages<V>, key: string, found: Tiered<V>, ask: Ask<V>): void {
  if (ask.upstream === undefined) return;
  const current = stages.flights.flying(key);
  if (current !== undefined) {
    current.keepAlive = true;
    return;
  }
  if (stages.failures.active(key) !== undefined) return;

  const flight = stages.flights.open(key, createJourney('revalidate', ask, found, stages.marks.epoch), true);
  // `maxFlights` is reached: the stale value was served all the same, and the next read tries again.
  if (flight instanceof Error) return;
  stages.counters.revalidations += 1;
  if (stages.events.wants('revalidate')) stages.events.emit({ type: 'revalidate', key });
  stages.start(flight);
  if (flight.lease === undefined) stages.deferred.add(flight.promise, 'revalidate', ask.read.waitUntil);
  else holdRequest(stages, flight, 'revalidate', ask);
}

/** Reloads `found`, which is still fresh, where the cache refreshes ahead and it is time. */
export function refreshAhead<V>(stages: Stages<V>, key: string, found: Tiered<V>, ask: Ask<V>): void {
  const { ahead, clock } = stages;
  if (ahead !== undefined && isDueAhead(found.entry, clock.now(), ahead, clock)) revalidate(stages, key, found, ask);
}
