import { FlightMap, type FlightMapOptions } from '../flights/flight-map.js';
import { fly } from './fly.js';
import { load, timedOut } from './load.js';
import { hooksOf, storiesOf, valuesOf } from './lookup.js';
import type { Answer } from './outcome.js';
import type { Face, Reads } from './reads.js';

/** What {@link Reading} is made of. */
export type ReadingParts<V> = Omit<Reads<V>, 'flights' | 'probes' | 'values' | 'stories' | 'fly' | 'isPatient'> & {
  readonly flightOptions: FlightMapOptions<string>;
};

/** The reads of one cache or namespace, with flights of their own. */
export class Reading<V> implements Reads<V> {
  declare readonly rules: Reads<V>['rules'];
  declare readonly clock: Reads<V>['clock'];
  declare readonly turn: Reads<V>['turn'];
  declare readonly held: Reads<V>['held'];
  declare readonly marks: Reads<V>['marks'];
  declare readonly failures: Reads<V>['failures'];
  declare readonly storage: Reads<V>['storage'];
  declare readonly peers: Reads<V>['peers'];
  declare readonly pending: Reads<V>['pending'];
  declare readonly scope: Reads<V>['scope'];
  declare readonly deferred: Reads<V>['deferred'];
  declare readonly events: Reads<V>['events'];
  declare readonly counters: Reads<V>['counters'];
  declare readonly life: Reads<V>['life'];
  declare readonly nested: Reads<V>['nested'];
  declare readonly plain: Reads<V>['plain'];
  readonly flights: Reads<V>['flights'];
  readonly probes: Reads<V>['probes'];
  readonly fly: Reads<V>['fly'];
  readonly isPatient: boolean;
  readonly values: Face<V, V>;
  readonly stories: Face<V, Answer<V>>;

  constructor({ flightOptions, ...parts }: ReadingParts<V>) {
    Object.assign(this, parts);
    const { storage, peers, pending, scope, rules } = parts;
    // Limited patience, or a leader that may vanish, needs a look.
    this.isPatient = scope === undefined && rules.softTimeout === Infinity;
    this.flights = new FlightMap(flightOptions, hooksOf(this, timedOut));
    this.probes = new FlightMap({ ...flightOptions, maxFlights: Infinity, maxSubscribers: Infinity });
    // Where no tier, other process or pending write may have what is wanted, a flight is nothing but its load.
    this.fly =
      storage === undefined && peers === undefined && pending === undefined
        ? (flight) => load(this, flight, flight.detail.fallback)
        : (flight) => fly(this, flight);
    this.values = valuesOf(this);
    this.stories = storiesOf(this);
  }
}
