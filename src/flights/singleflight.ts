import { checkSignal } from '../base/checks.js';
import { rejection } from '../base/promises.js';
import type { Clock, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import { FlightMap, type SingleflightStats } from './flight-map.js';
import type { Flight } from './flight.js';
import { resolveSingleflightOptions, type SingleflightOptions } from './options.js';

/** What work is told about the flight it runs in. */
export interface FlightContext<K = string> {
  readonly key: K;
  /** Aborts when the last subscriber left or the flight timed out. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Callers waiting now. */
  readonly subscribers: number;
  /** `Singleflight.execute` for calls nested in this work: a key that would wait for itself is an error, not a hang. */
  readonly execute: Singleflight<K>['execute'];
}

/** Options of one call. */
export interface ExecuteOptions {
  /** Aborts this caller's wait; the work is aborted only when nobody is left. */
  readonly signal?: AbortSignal;
  /** Keeps the work running when all subscribers left. @default false */
  readonly keepAlive?: boolean;
}

type Work<K, T> = (flight: FlightContext<K>) => MaybePromise<T>;

/**
 * Makes concurrent identical calls share one execution: one flight per key, any number of subscribers.
 *
 * Nothing is kept after a flight ends. No call ever leads to an unhandled rejection.
 *
 * @example
 * ```ts
 * import { Singleflight } from 'soloflight';
 *
 * const flights = new Singleflight();
 * let queries = 0;
 * const load = () => flights.execute('post:1', async () => ++queries);
 * await Promise.all([load(), load(), load()]);
 * console.log(queries); // 1
 * ```
 */
export class Singleflight<K = string> {
  readonly #clock: Clock;
  readonly #flights: FlightMap<K, unknown>;

  /** @throws TypeError for an option that makes no sense. */
  constructor(options: SingleflightOptions<K> = {}) {
    const resolved = resolveSingleflightOptions(options);
    this.#clock = resolved.clock;
    this.#flights = new FlightMap(resolved);
  }

  /**
   * Runs `work` for `key`, or joins the flight that is already running it.
   *
   * `work` is called in the same tick, at most once at a time per key. All subscribers get the same value, or the same
   * error instance. Never throws synchronously.
   *
   * @throws {@link FlightTimeoutError}, {@link TooManySubscribersError}, {@link TooManyFlightsError},
   * {@link ReentrantFlightError}, the signal's reason, or whatever `work` throws.
   */
  execute<T>(key: K, work: Work<K, T>, options?: ExecuteOptions): Promise<T> {
    return this.#execute(this.#flights.find(key), key, work, options);
  }

  /** Like {@link execute}, and tells whether this caller leads or follows. */
  join<T>(key: K, work: Work<K, T>, options?: ExecuteOptions): { result: Promise<T>; role: 'leader' | 'follower' } {
    const current = this.#flights.find(key);
    return { result: this.#execute(current, key, work, options), role: current === undefined ? 'leader' : 'follower' };
  }

  /** Whether a call for `key` would join a flight now. */
  has(key: K): boolean {
    return this.#flights.find(key) !== undefined;
  }

  /** Detaches the flight for `key`: its subscribers still get its outcome, the next call leads a new one. */
  forget(key: K): boolean {
    return this.#flights.forget(key);
  }

  /** Forgets all flights. */
  clear(): void {
    this.#flights.clear();
  }

  /** Counts of now and totals since construction. Cheap enough to poll. */
  getStats(): SingleflightStats {
    return this.#flights.getStats();
  }

  /** `current` is the flight to join, looked up once: a switch may answer otherwise when asked again. */
  #execute<T>(
    current: Flight<K, unknown> | undefined,
    key: K,
    work: Work<K, T>,
    options: ExecuteOptions | undefined,
    parent?: Flight<K, unknown>,
  ): Promise<T> {
    if (typeof work !== 'function') return rejection(misuse('work', 'a function', work));
    const signal = options?.signal;
    if (signal !== undefined) {
      try {
        checkSignal(signal);
      } catch (error) {
        return rejection(error);
      }
      if (signal.aborted) return rejection(signal.reason);
    }

    const keepAlive = options?.keepAlive === true;
    if (current !== undefined) {
      const refusal = this.#flights.join(current, parent);
      if (refusal !== undefined) return rejection(refusal);
      if (keepAlive) current.keepAlive = true;
      return this.#subscribe(current, signal, parent);
    }

    const flight = this.#flights.open(key, undefined, keepAlive);
    if (flight instanceof Error) return rejection(flight);
    const result = this.#subscribe<T>(flight, signal, parent);
    const context = new WorkContext(flight, this.#flights, this.#clock, this.#nested);
    this.#flights.start(flight, () => work(context));
    return result;
  }

  #subscribe<T>(
    flight: Flight<K, unknown>,
    signal: AbortSignal | undefined,
    parent: Flight<K, unknown> | undefined,
  ): Promise<T> {
    const flights = this.#flights;
    return (
      signal === undefined ? flights.follow(flight, parent) : flights.subscribe(flight, signal, parent)
    ) as Promise<T>;
  }

  readonly #nested: NestedExecute<K> = (parent, key, work, options) =>
    this.#execute(this.#flights.find(key), key, work, options, parent);
}

type NestedExecute<K> = <T>(
  parent: Flight<K, unknown>,
  key: K,
  work: Work<K, T>,
  options?: ExecuteOptions,
) => Promise<T>;

/** The face of a flight that its work sees. */
class WorkContext<K> implements FlightContext<K> {
  readonly #flight: Flight<K, unknown>;
  readonly #flights: FlightMap<K, unknown>;
  readonly #clock: Clock;
  readonly #nested: NestedExecute<K>;
  #startedAt: number | undefined;

  constructor(flight: Flight<K, unknown>, flights: FlightMap<K, unknown>, clock: Clock, nested: NestedExecute<K>) {
    this.#flight = flight;
    this.#flights = flights;
    this.#clock = clock;
    this.#nested = nested;
  }

  get key(): K {
    return this.#flight.key;
  }

  get signal(): AbortSignal {
    return this.#flight.signal;
  }

  get startedAt(): number {
    // Worked out when first asked for: leading a flight reads no wall clock. Kept, since that clock may jump.
    return (this.#startedAt ??= Math.round(this.#clock.now() - this.#flights.ageOf(this.#flight)));
  }

  get subscribers(): number {
    return this.#flight.subscribers;
  }

  get execute(): Singleflight<K>['execute'] {
    return (key, work, options) => this.#nested(this.#flight, key, work, options);
  }
}
