import { silenced } from '../base/promises.js';
import { FlightMap, type FlightMapOptions } from '../flights/flight-map.js';
import { fly } from './fly.js';
import { load, timedOut } from './load.js';
import { MEMORY, type Answer, type Outcome } from './outcome.js';
import type { CacheFlight, Face, Reads } from './reads.js';
import { flightEnded } from './revalidate.js';

/** What {@link Reading} is made of. */
export type ReadingParts<V> = Omit<Reads<V>, 'flights' | 'probes' | 'values' | 'stories' | 'fly'> & {
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
  declare readonly isClosed: Reads<V>['isClosed'];
  declare readonly nested: Reads<V>['nested'];
  declare readonly plain: Reads<V>['plain'];
  readonly flights: Reads<V>['flights'];
  readonly probes: Reads<V>['probes'];
  readonly fly: Reads<V>['fly'];
  readonly values: Face<V, V>;
  readonly stories: Face<V, Answer<V>>;

  constructor({ flightOptions, ...parts }: ReadingParts<V>) {
    Object.assign(this, parts);
    const { storage, peers, pending } = parts;
    this.flights = new FlightMap(flightOptions, {
      valueIn: ({ entry }: Outcome<V>) => entry.value as V,
      rescue: (flight, error) => timedOut(this, flight, error),
      ended: (flight, outcome) => flightEnded(this, flight, outcome),
    });
    this.probes = new FlightMap({ ...flightOptions, maxFlights: Infinity, maxSubscribers: Infinity });
    // Where no tier, other process or pending write may have what is wanted, a flight is nothing but its load.
    this.fly =
      storage === undefined && peers === undefined && pending === undefined
        ? (flight) => load(this, flight, flight.detail.fallback)
        : (flight) => fly(this, flight);
    const seated = (flight: CacheFlight<V>): void => void (flight.detail.readers += 1);
    this.values = {
      hit: (entry) => entry.answer,
      seat: (flight) => {
        seated(flight);
        return this.flights.follow(flight);
      },
      answer: (answer) => silenced(answer.then(({ outcome }) => outcome.entry.value as V)),
    };
    this.stories = {
      hit: (entry, status) =>
        Promise.resolve({ outcome: { entry, tier: MEMORY, status, loaded: false, stored: true }, role: 'none' }),
      seat: (flight, role) => {
        seated(flight);
        return silenced(this.flights.subscribe(flight).then((outcome) => ({ outcome, role })));
      },
      answer: (answer) => answer,
    };
  }
}
