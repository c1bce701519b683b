import { timersOf } from '../base/clock.js';
import { ignore, isThenable } from '../base/promises.js';
import type { Clock, MaybePromise } from '../contracts.js';
import {
  FlightTimeoutError,
  ReentrantFlightError,
  TooManyFlightsError,
  TooManySubscribersError,
  type SoloflightError,
} from '../errors.js';
import { Flight, type FlightEnd } from './flight.js';

/** What happened to a flight. Durations are milliseconds. */
export type FlightEvent<K = string> =
  | { readonly type: 'lead'; readonly key: K }
  | { readonly type: 'join'; readonly key: K; readonly subscribers: number }
  | {
      readonly type: 'settle';
      readonly key: K;
      readonly outcome: 'succeeded' | 'failed';
      readonly durationMs: number;
      readonly subscribers: number;
    }
  | { readonly type: 'timeout'; readonly key: K; readonly durationMs: number; readonly subscribers: number }
  | { readonly type: 'abort'; readonly key: K; readonly durationMs: number }
  | { readonly type: 'reject'; readonly key: K; readonly code: SoloflightError['code'] }
  | { readonly type: 'forget'; readonly key: K };

/** A snapshot of flights under way, and totals since construction. */
export interface SingleflightStats {
  readonly inFlightCount: number;
  readonly totalSubscribers: number;
  /** Age of the oldest flight in milliseconds, `null` when there is none. */
  readonly oldestCallAge: number | null;
  readonly led: number;
  readonly joined: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly aborted: number;
  /** Calls turned away by `maxSubscribers`, `maxFlights` or the check for re-entrance. */
  readonly rejected: number;
  /** joined / (led + joined), 0 before the first call. */
  readonly coalescingRatio: number;
}

/** Carries a value along asynchronous calls; Node's `AsyncLocalStorage` is one. */
export interface AsyncContext {
  getStore(): unknown;
  run<R>(store: unknown, callback: () => R): R;
}

/** Options of a flight map, checked and complete. */
export interface FlightMapOptions<K> {
  readonly maxSubscribers: number;
  readonly maxDuration: number;
  readonly maxFlights: number;
  /** Counts the flights of all maps that share `maxFlights`. @default this map's own */
  readonly budget?: { live: number } | undefined;
  readonly coalesce: boolean | (() => boolean);
  /** Whether no timer outlives the last flight: it holds the whole map. For maps of which there may be many. @default false */
  readonly rests?: boolean | undefined;
  readonly clock: Clock;
  readonly onEvent: ((event: FlightEvent<K>) => void) | undefined;
  readonly asyncContext: AsyncContext | undefined;
}

/** What the owner of a map has to say of its flights. */
export interface FlightHooks<K, R, D = undefined, V = R> {
  /** The part of a result that plain callers want. */
  readonly valueIn: (result: R) => V;
  /** What subscribers get instead of the timeout error; may throw another one. */
  readonly rescue: (flight: Flight<K, R, D, V>, error: FlightTimeoutError) => R;
  /** Whether `result` stands in for that of work that failed. @default never */
  readonly hasFailed?: (result: R) => boolean;
  /** Told that a flight ended: its key is free, its subscribers have not run yet. Must not throw. */
  readonly ended: (flight: Flight<K, R, D, V>, result: R | undefined) => void;
}

/**
 * The flights of one owner: at most one per key that a new caller would join.
 *
 * The map says who may join; the list of live flights, oldest first, says who is next to time out. The two differ:
 * forgotten, fenced and uncoalesced flights are live but can't be joined.
 */
export class FlightMap<K, R, D = undefined, V = R> {
  /** The flights that a call would join. */
  protected readonly flights: Map<K, Flight<K, R, D, V>> = new Map<K, Flight<K, R, D, V>>();
  /** Uncoalesced flights, which the map can't hold because a key may have many. */
  protected readonly loose: Set<Flight<K, R, D, V>> = new Set<Flight<K, R, D, V>>();
  protected readonly options: FlightMapOptions<K>;
  protected readonly budget: { live: number };
  /** The ends of the list of live flights. */
  protected oldest: Flight<K, R, D, V> | undefined;
  protected newest: Flight<K, R, D, V> | undefined;
  /** The flight whose work is being called in this very moment. */
  protected running: Flight<K, R, D, V> | undefined;
  /** Callers that wait for flights of this map. */
  protected subscribers = 0;
  protected hooks: FlightHooks<K, R, D, V> = BARE as FlightHooks<K, R, D, V>;
  protected readonly totals = { led: 0, joined: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, rejected: 0 };
  readonly #arrived: (this: Flight<K, R, D, V>, result: R) => void;
  readonly #lost: (this: Flight<K, R, D, V>, error: unknown) => void;
  /** The flight that a rush of callers joins. Set by the owner; forgotten as soon as anything happens to any flight (D31). */
  rush: Flight<K, R, D, V> | undefined;
  /** Whether several flights for one key may be under way. */
  readonly overlaps: boolean;
  #live = 0;
  #cancelTimer: (() => void) | undefined;
  /** Which timers that is one of. A test runner may have replaced them since. */
  #timers: unknown;

  constructor(options: FlightMapOptions<K>) {
    this.options = options;
    this.budget = options.budget ?? { live: 0 };
    this.overlaps = options.coalesce !== true;
    this.#arrived = forFlights((flight, result) => {
      if (!this.#strike(flight, this.hooks.hasFailed?.(result) === true ? 'failed' : 'succeeded')) return;
      this.hooks.ended(flight, result);
      flight.resolve(result);
    });
    this.#lost = forFlights((flight, reason) => this.#fail(flight, 'failed', reason));
  }

  /** Number of flights that have not ended, forgotten ones included. */
  get live(): number {
    return this.#live;
  }

  /** The flight a call for `key` would join now. */
  find(key: K): Flight<K, R, D, V> | undefined {
    const flight = this.flights.get(key);
    return flight === undefined || !this.overlaps || this.#coalesces() ? flight : undefined;
  }

  /**
   * Records a new flight for `key`; `start` must follow in the same tick. Returns the error where a guard refuses.
   *
   * Opening and starting are two steps so that the leader is a subscriber before its work can call back.
   */
  open(key: K, detail: D, keepAlive = false): Flight<K, R, D, V> | TooManyFlightsError {
    const { maxFlights, clock, onEvent } = this.options;
    if (this.budget.live >= maxFlights) return this.#refuse(new TooManyFlightsError(key, maxFlights), key);

    const flight = new Flight<K, R, D, V>(key, clock.monotonic(), detail, this.hooks.valueIn);
    flight.keepAlive = keepAlive;
    // A switch that was off a moment ago, when this key's flight was looked for, must not push that one off the map.
    if (!this.overlaps || (this.#coalesces() && !this.flights.has(key))) this.flights.set(key, flight);
    else this.loose.add(flight);
    flight.older = this.newest;
    if (this.newest === undefined) this.oldest = flight;
    else this.newest.newer = flight;
    this.newest = flight;
    this.#live += 1;
    this.budget.live += 1;
    if (this.#cancelTimer === undefined || this.#timers !== timersOf(clock)) this.arm(flight);
    this.totals.led += 1;
    if (onEvent !== undefined) this.#emit({ type: 'lead', key });
    return flight;
  }

  /**
   * Joins `flight` on behalf of a caller and returns why it may not, where it may not.
   *
   * `parent` is the flight whose work makes the call, where that is known.
   */
  join(flight: Flight<K, R, D, V>, parent?: Flight<K, R, D, V>): SoloflightError | undefined {
    const { maxSubscribers, onEvent } = this.options;
    const { key } = flight;
    const fromWork = this.running !== undefined || parent !== undefined || this.options.asyncContext !== undefined;
    if (fromWork && this.#waitsForItself(flight, parent ?? this.#parentFromContext()))
      return this.#refuse(new ReentrantFlightError(key), key);
    if (flight.subscribers >= maxSubscribers)
      return this.#refuse(new TooManySubscribersError(key, maxSubscribers), key);
    this.totals.joined += 1;
    if (onEvent !== undefined) this.#emit({ type: 'join', key, subscribers: flight.subscribers + 1 });
    return undefined;
  }

  /** The value of `flight` for one more subscriber without a signal. It is the flight's own promise: following costs nothing more. */
  follow(flight: Flight<K, R, D, V>, parent?: Flight<K, R, D, V>): Promise<V> {
    if (flight.end === undefined) {
      flight.subscribers += 1;
      this.subscribers += 1;
    }
    const { value } = flight;
    if (parent !== undefined || this.options.asyncContext !== undefined) this.awaits(flight, value, parent);
    return value;
  }

  /**
   * The result of `flight` for one more subscriber.
   *
   * `signal` must not be aborted yet when the flight is led or joined; work that aborts it synchronously is noticed.
   */
  subscribe(flight: Flight<K, R, D, V>, signal?: AbortSignal, parent?: Flight<K, R, D, V>): Promise<R> {
    this.count(flight);
    const result = this.#promise(flight, signal);
    this.awaits(flight, result, parent);
    return result;
  }

  /** Counts one more subscriber of `flight`. */
  protected count(flight: Flight<K, R, D, V>): void {
    if (flight.end !== undefined) return;
    flight.subscribers += 1;
    this.subscribers += 1;
  }

  /** Notes that `parent`, or the flight whose work makes this call, waits for `flight`. */
  protected awaits(
    flight: Flight<K, R, D, V>,
    result: Promise<unknown>,
    parent: Flight<K, R, D, V> | undefined = this.#parentFromContext(),
  ): void {
    parent?.awaits(flight, result);
  }

  #promise(flight: Flight<K, R, D, V>, signal: AbortSignal | undefined): Promise<R> {
    if (flight.end !== undefined || signal === undefined) return flight.promise;

    return flight.subscribe(signal, (count, reason) => {
      if (this.leave(flight, count) && flight.subscribers === 0 && !flight.keepAlive) {
        this.#fail(flight, 'aborted', reason);
        flight.abortSignal(reason);
      }
    });
  }

  /** Takes `count` subscribers off the books; false if they were taken off with their flight already. */
  protected leave(flight: Flight<K, R, D, V>, count: number): boolean {
    // Aborted by a listener that was just told of the flight's end: all have been counted out.
    if (flight.end !== undefined) return false;
    flight.subscribers -= count;
    this.subscribers -= count;
    return true;
  }

  /** Calls `work` in this tick and settles the flight with its outcome, whichever way it comes. */
  start(flight: Flight<K, R, D, V>, work: (flight: Flight<K, R, D, V>) => MaybePromise<R>): void {
    if (flight.end !== undefined) return; // Its leader was aborted before work began, by a listener or a switch.
    let result: Promise<R>;
    try {
      result = Promise.resolve(this.within(flight, work));
    } catch (error) {
      result = Promise.reject(error);
    }
    // Also a plain value or a synchronous throw settles in a later microtask: callers of this tick still coalesce.
    result.then(this.#arrived.bind(flight), this.#lost.bind(flight));
  }

  /** Calls `run` as part of the work of `flight`, so that a synchronous call for its own key is recognised. */
  within<T>(flight: Flight<K, R, D, V>, run: (flight: Flight<K, R, D, V>) => T): T {
    const { asyncContext } = this.options;
    // A load calls its upstream from inside its own flight, which must not become its own caller.
    if (this.running === flight) return run(flight);
    flight.calledFrom = this.running;
    this.running = flight;
    try {
      return asyncContext === undefined ? run(flight) : asyncContext.run(flight, () => run(flight));
    } finally {
      this.running = flight.calledFrom;
      flight.calledFrom = undefined;
    }
  }

  /** Frees `key` for a new flight; the current one goes on for its subscribers. */
  forget(key: K): boolean {
    this.rush = undefined;
    const known = this.flights.delete(key);
    if (known) this.#emit({ type: 'forget', key });
    return known;
  }

  /** Forgets all flights. */
  clear(): void {
    for (const key of [...this.flights.keys()]) this.forget(key);
  }

  getStats(): SingleflightStats {
    const { led, joined } = this.totals;
    return {
      inFlightCount: this.live,
      totalSubscribers: this.subscribers,
      oldestCallAge: this.oldest === undefined ? null : this.ageOf(this.oldest),
      ...this.totals,
      coalescingRatio: joined === 0 ? 0 : joined / (led + joined),
    };
  }

  /** Age of `flight` in milliseconds. */
  ageOf(flight: Flight<K, R, D, V>): number {
    return this.options.clock.monotonic() - flight.since;
  }

  /** Cancels the timer when no flight needs it. */
  rest(): void {
    if (this.#live > 0) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #fail(flight: Flight<K, R, D, V>, end: FlightEnd, reason: unknown): void {
    if (!this.#strike(flight, end)) return;
    this.hooks.ended(flight, undefined);
    flight.reject(reason);
  }

  /** Ends `flight` at `maxDuration`. */
  protected timeOut(flight: Flight<K, R, D, V>): void {
    const error = new FlightTimeoutError(flight.key, this.ageOf(flight), this.options.maxDuration);
    this.#strike(flight, 'timedOut');
    try {
      const result = this.hooks.rescue(flight, error);
      this.hooks.ended(flight, result);
      flight.resolve(result);
    } catch (failure) {
      this.hooks.ended(flight, undefined);
      flight.reject(failure);
    }
    flight.abortSignal(error);
  }

  /** Ends `flight` and takes it off the books. False when it had already ended: the outcome is late. */
  #strike(flight: Flight<K, R, D, V>, end: FlightEnd): boolean {
    if (flight.end !== undefined) return false;
    flight.end = end;
    this.rush = undefined;
    this.unlist(flight, end);
    return true;
  }

  /** Takes `flight` off the map, by identity, and off the list. */
  protected unlist(flight: Flight<K, R, D, V>, end: FlightEnd): void {
    const { onEvent } = this.options;
    if (this.flights.get(flight.key) === flight) this.flights.delete(flight.key);
    if (this.loose.size > 0) this.loose.delete(flight);
    const { older, newer } = flight;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    flight.older = flight.newer = undefined;
    this.#live -= 1;
    this.budget.live -= 1;
    if (this.options.rests === true) this.rest();
    this.subscribers -= flight.subscribers;
    this.totals[end] += 1;
    if (onEvent !== undefined) this.#emit(eventOf(flight, end, this.ageOf(flight)));
  }

  /**
   * Sets the one timer to the deadline of the oldest flight.
   *
   * It is left armed when flights end, unless the map rests: it then fires once for nothing, which is cheaper than a timer per flight.
   */
  protected arm(_flight?: Flight<K, R, D, V>): void {
    const { maxDuration, clock } = this.options;
    if (this.oldest === undefined || maxDuration === Infinity) return;
    this.#cancelTimer?.();
    this.#timers = timersOf(clock);
    this.#cancelTimer = clock.after(Math.max(1, this.oldest.since + maxDuration - clock.monotonic()), () => {
      this.#cancelTimer = undefined;
      // What would be due within half a millisecond is: no timer is finer.
      while (this.oldest !== undefined && this.ageOf(this.oldest) > maxDuration - 0.5) this.timeOut(this.oldest);
      if (this.#cancelTimer === undefined) this.arm();
    });
  }

  #coalesces(): boolean {
    const { coalesce } = this.options;
    if (typeof coalesce === 'boolean') return coalesce;
    try {
      const answer: unknown = coalesce();
      return answer !== false;
    } catch {
      return true; // A broken switch must not let a stampede through.
    }
  }

  #waitsForItself(flight: Flight<K, R, D, V>, parent: Flight<K, R, D, V> | undefined): boolean {
    for (let running = this.running; running !== undefined; running = running.calledFrom)
      if (running === flight) return true;
    return parent !== undefined && parent.end === undefined && flight.reaches(parent);
  }

  #parentFromContext(): Flight<K, R, D, V> | undefined {
    const store = this.options.asyncContext?.getStore();
    // A flight of another map is as good: who waits for whom does not end at the border of an instance.
    return store instanceof Flight && store.end === undefined ? (store as Flight<K, R, D, V>) : undefined;
  }

  #refuse<E extends SoloflightError>(error: E, key: K): E {
    this.totals.rejected += 1;
    this.#emit({ type: 'reject', key, code: error.code });
    return error;
  }

  #emit(event: FlightEvent<K>): void {
    try {
      const returned: unknown = this.options.onEvent?.(event);
      if (isThenable(returned)) returned.then(undefined, ignore);
    } catch {
      // A listener's failure is the listener's own.
    }
  }
}

const BARE: FlightHooks<unknown, unknown, unknown, unknown> = {
  valueIn: (result) => result,
  rescue: (_flight, error) => {
    throw error;
  },
  ended: ignore,
};

/**
 * `run` as something to bind to flights, for the promises of their work.
 *
 * Two closures, with what they close over, are larger by half; of flights there may be a hundred thousand at once.
 */
function forFlights<F, A>(run: (flight: F, settled: A) => void): (this: F, settled: A) => void {
  return function (settled) {
    run(this, settled);
  };
}

function eventOf<K>(
  { key, subscribers }: { readonly key: K; readonly subscribers: number },
  end: FlightEnd,
  durationMs: number,
): FlightEvent<K> {
  if (end === 'timedOut') return { type: 'timeout', key, durationMs, subscribers };
  if (end === 'aborted') return { type: 'abort', key, durationMs };
  return { type: 'settle', key, outcome: end, durationMs, subscribers };
}
