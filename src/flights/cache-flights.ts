import { ignore } from '../base/promises.js';
import { FlightMap, type FlightHooks, type FlightMapOptions } from './flight-map.js';
import type { Flight } from './flight.js';

/** The flights of a cache, whose results are kept: they can be fenced, and waited for. */
export class CacheFlights<K, R, D = undefined, V = R> extends FlightMap<K, R, D, V> {
  /** Whether joining concerns anybody but the flight and its subscribers. */
  readonly #isWatched: boolean;

  constructor(options: FlightMapOptions<K>) {
    super(options);
    this.#isWatched = this.overlaps || options.onEvent !== undefined || options.asyncContext !== undefined;
  }

  /** Asks `hooks` from now on. Called before the first flight. */
  attend(hooks: Partial<FlightHooks<K, R, D, V>>): void {
    this.hooks = { ...this.hooks, ...hooks };
  }

  /** Any flight for `key` whose result may still be written back, also one that nobody may join. */
  flying(key: K): Flight<K, R, D, V> | undefined {
    return this.flights.get(key) ?? this.#looseOf(key).find(({ fenced }) => !fenced);
  }

  /**
   * `join` and `follow` in one for a rush: no signal, no listener, no call from inside other work. `undefined` where the case
   * is not that plain.
   */
  rejoin(flight: Flight<K, R, D, V>): Promise<V> | undefined {
    if (this.#isWatched || this.running !== undefined || flight.subscribers >= this.options.maxSubscribers)
      return undefined;
    flight.subscribers += 1;
    this.subscribers += 1;
    this.totals.joined += 1;
    return flight.value;
  }

  /** Forgets the flight for `key` and keeps its result, and that of uncoalesced ones, away from every tier. */
  fence(key: K): void {
    this.rush = undefined;
    const flight = this.flights.get(key);
    if (flight !== undefined) {
      flight.fenced = true;
      this.flights.delete(key);
    }
    for (const loose of this.#looseOf(key)) loose.fenced = true;
  }

  /** Fences all flights that are under way, or those for keys that begin with `prefix`. */
  fenceAll(prefix = ''): void {
    this.rush = undefined;
    for (let flight = this.oldest; flight !== undefined; flight = flight.newer) {
      if (!String(flight.key).startsWith(prefix)) continue;
      flight.fenced = true;
      if (this.flights.get(flight.key) === flight) this.flights.delete(flight.key);
    }
  }

  /** Fences the flights for the same key that were opened before `flight`, whose result is about to be published. */
  supersede(flight: Flight<K, R, D, V>): void {
    if (this.loose.size === 0) return;
    for (let older = flight.older; older !== undefined; older = older.older) {
      if (Object.is(older.key, flight.key)) older.fenced = true;
    }
  }

  /** Resolves when no flight is left. */
  async idle(): Promise<void> {
    while (this.newest !== undefined) await this.ending(this.newest).then(ignore, ignore);
  }

  /** Settles when `flight` is over. */
  protected ending(flight: Flight<K, R, D, V>): Promise<unknown> {
    return flight.promise;
  }

  #looseOf(key: K): Flight<K, R, D, V>[] {
    return this.loose.size === 0 ? [] : [...this.loose].filter((flight) => Object.is(flight.key, key));
  }
}
