import { FlightMap, type FlightMapOptions } from '../flights/flight-map.js';
import { fly } from './fly.js';
import { load, timedOut } from './load.js';
import { hooksOf, stories, values } from './lookup.js';
import type { Answer } from './outcome.js';
import type { Face, Reads } from './reads.js';

/** What {@link Reading} is made of. */
export type ReadingParts<V> = Omit<Reads<V>, 'flights' | 'probes' | 'values' | 'stories' | 'fly' | 'isPatient'> & {
  readonly flightOptions: FlightMapOptions<string>;
};

/** The reads of one cache or namespace, with flights of their own. */
export class Reading<V> implements Reads<V> {
  readonly rules: Reads<V>['rules'];
  readonly clock: Reads<V>['clock'];
  readonly turn: Reads<V>['turn'];
  readonly held: Reads<V>['held'];
  readonly marks: Reads<V>['marks'];
  readonly failures: Reads<V>['failures'];
  readonly storage: Reads<V>['storage'];
  readonly peers: Reads<V>['peers'];
  readonly pending: Reads<V>['pending'];
  readonly scope: Reads<V>['scope'];
  readonly deferred: Reads<V>['deferred'];
  readonly events: Reads<V>['events'];
  readonly counters: Reads<V>['counters'];
  readonly life: Reads<V>['life'];
  readonly nested: Reads<V>['nested'];
  readonly plain: Reads<V>['plain'];
  readonly flights: Reads<V>['flights'];
  readonly probes: Reads<V>['probes'];
  readonly fly: Reads<V>['fly'];
  readonly isPatient: boolean;
  readonly values: Face<V, V>;
  readonly stories: Face<V, Answer<V>>;

  constructor({ flightOptions, ...parts }: ReadingParts<V>) {
    this.rules = parts.rules;
    this.clock = parts.clock;
    this.turn = parts.turn;
    this.held = parts.held;
    this.marks = parts.marks;
    this.failures = parts.failures;
    this.storage = parts.storage;
    this.peers = parts.peers;
    this.pending = parts.pending;
    this.scope = parts.scope;
    this.deferred = parts.deferred;
    this.events = parts.events;
    this.counters = parts.counters;
    this.life = parts.life;
    this.nested = parts.nested;
    this.plain = parts.plain;
    const { storage, peers, pending, scope, rules } = parts;
    // Limited patience, or a leader that may vanish, needs a look.
    this.isPatient = scope === undefined && rules.softTimeout === Infinity;
    this.flights = new FlightMap(flightOptions, hooksOf(this, timedOut));
    this.probes = new FlightMap({
      ...flightOptions,
      maxFlights: Infinity,
      maxSubscribers: Infinity,
      // They load nothing, so they take no place from those that do.
      budget: undefined,
    });
    // Where no tier, other process or pending write may have what is wanted, a flight is nothing but its load.
    this.fly =
      storage === undefined && peers === undefined && pending === undefined
        ? (flight) => load(this, flight, flight.detail.fallback)
        : (flight) => fly(this, flight);
    this.values = values();
    this.stories = stories();
  }
}
