import { CacheFlights } from '../flights/cache-flights.js';
import type { Claims } from '../flights/claims.js';
import type { FlightMapOptions } from '../flights/flight-map.js';
import { fly } from './fly.js';
import { load, timedOut } from './load.js';
import { hooksOf, stories, values } from './lookup.js';
import type { Reads } from './reads.js';

/** What the reads of a cache are made of. */
export type ReadingParts<V> = Omit<Reads<V>, 'flights' | 'probes' | 'values' | 'stories' | 'fly' | 'isPatient'>;

/** The reads of one cache or namespace, with flights of their own. `claims`: set where the request that leads a flight may end without a trace. */
export function readingOf<V>(parts: ReadingParts<V>, options: FlightMapOptions<string>, claims?: Claims): Reads<V> {
  const { storage, peers, pending, scope, rules } = parts;
  // They load nothing, so they take no place from those that do.
  const unlimited = { ...options, maxFlights: Infinity, maxSubscribers: Infinity, budget: undefined };
  const flights: Reads<V>['flights'] = claims?.flights(options) ?? new CacheFlights(options);
  const reads: Reads<V> = {
    ...parts,
    // Limited patience, or a leader that may vanish, needs a look.
    isPatient: scope === undefined && rules.softTimeout === Infinity,
    flights,
    probes: claims?.flights(unlimited) ?? new CacheFlights(unlimited),
    // Where no tier, other process or pending write may have what is wanted, a flight is nothing but its load.
    fly:
      storage === undefined && peers === undefined && pending === undefined
        ? (flight) => load(reads, flight, flight.detail.fallback)
        : (flight) => fly(reads, flight),
    values: values(),
    stories: stories(),
  };
  flights.attend(hooksOf(reads, timedOut));
  return reads;
}
