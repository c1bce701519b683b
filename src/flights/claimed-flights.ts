import { ignore, silenced } from '../base/promises.js';
import type { TooManyFlightsError } from '../errors.js';
import { CacheFlights } from './cache-flights.js';
import type { Claim } from './claim.js';
import type { Claims } from './claims.js';
import type { FlightMapOptions } from './flight-map.js';
import type { Flight, FlightEnd } from './flight.js';

/** The flights of a cache where the request that leads a flight may end without a trace: each has a claim to its key, from `open` on. */
export class ClaimedFlights<K, R, D, V> extends CacheFlights<K, R, D, V> {
  readonly #claims: Claims;

  constructor(claims: Claims, options: FlightMapOptions<K>) {
    super(options);
    this.#claims = claims;
  }

  override get live(): number {
    this.#claims.sweep(false);
    return super.live;
  }

  override find(key: K): Flight<K, R, D, V> | undefined {
    const flight = this.flights.get(key);
    return flight !== undefined && isLost(flight) ? undefined : super.find(key);
  }

  override flying(key: K): Flight<K, R, D, V> | undefined {
    for (;;) {
      const flight = super.flying(key);
      // A flight that is given up is fenced and off the map: the next look finds another one.
      if (flight === undefined || !isLost(flight)) return flight;
    }
  }

  override open(key: K, detail: D, keepAlive?: boolean): Flight<K, R, D, V> | TooManyFlightsError {
    this.#claims.sweep(this.budget.live < this.options.maxFlights);
    return super.open(key, detail, keepAlive);
  }

  /** Who subscribes in another request than the leader's needs a look at the claim. */
  override rejoin(): undefined {
    return undefined;
  }

  override follow(flight: Flight<K, R, D, V>, parent?: Flight<K, R, D, V>): Promise<V> {
    return flight.claim!.begun ? this.#outwait(flight, flight.value, undefined, parent) : super.follow(flight, parent);
  }

  override subscribe(flight: Flight<K, R, D, V>, signal?: AbortSignal, parent?: Flight<K, R, D, V>): Promise<R> {
    return flight.end === undefined && flight.claim!.begun
      ? this.#outwait(flight, flight.promise, signal, parent)
      : super.subscribe(flight, signal, parent);
  }

  override start(flight: Flight<K, R, D, V>, work: Parameters<CacheFlights<K, R, D, V>['start']>[1]): void {
    if (flight.end === undefined) flight.claim!.begin(() => this.timeOut(flight));
    super.start(flight, work);
  }

  /** The claim ends a flight in time: no timer of another request can be relied on. */
  protected override arm(flight: Flight<K, R, D, V>): void {
    flight.claim = this.#claims.grant(flight.since, () => this.#giveUp(flight));
  }

  protected override leave(flight: Flight<K, R, D, V>, count: number): boolean {
    return !flight.claim!.lost && super.leave(flight, count);
  }

  protected override unlist(flight: Flight<K, R, D, V>, end: FlightEnd): void {
    flight.claim!.end();
    // Given up by others, and back after all: its own subscribers get what it brings.
    if (!flight.claim!.lost) this.#release(flight, end);
  }

  protected override ending(flight: Flight<K, R, D, V>): Promise<unknown> {
    return flight.claim!.outwait(flight.promise, undefined, ignore);
  }

  /** The promise of a subscriber whose request may outlive the one that leads `flight`. The work goes on when it leaves. */
  #outwait<T>(
    flight: Flight<K, R, D, V>,
    promise: Promise<T>,
    signal: AbortSignal | undefined,
    parent: Flight<K, R, D, V> | undefined,
  ): Promise<T> {
    this.count(flight);
    const result = silenced(flight.claim!.outwait(promise, signal, () => void this.leave(flight, 1)));
    this.awaits(flight, result, parent);
    return result;
  }

  /** Frees all that a flight holds whose leader can't do it any more. Should it come back, its result is for no tier. */
  #giveUp(flight: Flight<K, R, D, V>): void {
    const claim = flight.claim!;
    if (claim.lost || flight.end !== undefined) return;
    claim.lost = flight.fenced = true;
    this.#release(flight, 'timedOut');
  }

  #release(flight: Flight<K, R, D, V>, end: FlightEnd): void {
    this.#claims.delete(flight.claim!);
    super.unlist(flight, end);
  }
}

/** Gives `flight` up if its leader is gone, and tells whether that is so. */
function isLost({ claim }: { readonly claim: Claim | undefined }): boolean {
  if (claim!.left > 0) return false;
  claim!.giveUp();
  return true;
}
