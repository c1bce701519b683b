import type { Clock, MaybePromise } from '../contracts.js';
import {
  FlightTimeoutError,
  ReentrantFlightError,
  TooManyFlightsError,
  TooManySubscribersError,
  type SoloflightError,
} from '../errors.js';
import { Flight, forFlights, ignore, silenced, type FlightOutcome } from './flight.js';
import type { Lease, Leases } from '../requests/heartbeat.js';

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
  readonly clock: Clock;
  readonly onEvent: ((event: FlightEvent<K>) => void) | undefined;
  readonly asyncContext: AsyncContext | undefined;
  /** Set where the request that leads a flight may end without a trace. */
  readonly leases?: Leases | undefined;
}

/** What the owner of a map has to say when its flights end. */
export interface FlightHooks<K, T, D> {
  /** What subscribers get instead of the timeout error; may throw another one. */
  readonly rescue: (flight: Flight<K, T, D>, error: FlightTimeoutError) => T;
  /** Told that a flight ended: its key is free, its subscribers have not run yet. Must not throw. */
  readonly ended: (flight: Flight<K, T, D>) => void;
}

/**
 * The flights of one owner: at most one per key that a new caller would join.
 *
 * The map says who may join; the list of live flights, oldest first, says who is next to time out. The two differ:
 * forgotten, fenced and uncoalesced flights are live but can't be joined.
 */
export class FlightMap<K, T, D = undefined> {
  readonly #options: FlightMapOptions<K>;
  readonly #hooks: FlightHooks<K, T, D> | undefined;
  /** Whether joining concerns nobody but the flight and its subscribers. */
  readonly #unwatched: boolean;
  readonly #flights = new Map<K, Flight<K, T, D>>();
  /** Uncoalesced flights, which the map can't hold because a key may have many. */
  readonly #loose = new Set<Flight<K, T, D>>();
  readonly #totals = { led: 0, joined: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, rejected: 0 };
  readonly #succeeded = forFlights((flight: Flight<K, T, D>, value: T) => this.succeed(flight, value));
  readonly #failed = forFlights((flight: Flight<K, T, D>, error: unknown) => this.fail(flight, error));
  #live = 0;
  #subscribers = 0;
  #oldest: Flight<K, T, D> | undefined;
  #newest: Flight<K, T, D> | undefined;
  #cancelTimer: (() => void) | undefined;
  #running: Flight<K, T, D> | undefined;

  constructor(options: FlightMapOptions<K>, hooks?: FlightHooks<K, T, D>) {
    this.#options = options;
    this.#hooks = hooks;
    this.#unwatched =
      options.onEvent === undefined && options.asyncContext === undefined && options.leases === undefined;
  }

  /** Number of flights that have not ended, forgotten ones included. */
  get live(): number {
    this.#options.leases?.sweep(false);
    return this.#live;
  }

  /** The flight a call for `key` would join now. */
  find(key: K): Flight<K, T, D> | undefined {
    const flight = this.#current(key);
    return flight !== undefined && this.#coalesces() ? flight : undefined;
  }

  /** Any flight for `key` whose result may still be written back, also one that nobody may join. */
  flying(key: K): Flight<K, T, D> | undefined {
    const flight = this.#current(key);
    if (flight !== undefined) return flight;
    for (const loose of this.#loose)
      if (Object.is(loose.key, key) && !loose.fenced && !this.#isLost(loose)) return loose;
    return undefined;
  }

  /**
   * Records a new flight for `key`; `start` must follow in the same tick. Returns the error where a guard refuses.
   *
   * Opening and starting are two steps so that the leader is a subscriber before its work can call back.
   */
  open(key: K, detail: D, keepAlive = false): Flight<K, T, D> | TooManyFlightsError {
    const { maxFlights, budget, clock, coalesce, leases } = this.#options;
    leases?.sweep((budget?.live ?? this.#live) < maxFlights);
    if ((budget?.live ?? this.#live) >= maxFlights) return this.#refuse(new TooManyFlightsError(key, maxFlights), key);

    const flight = new Flight<K, T, D>(key, clock.monotonic(), detail, keepAlive);
    flight.lease = leases?.grant(flight.since, this.#options.maxDuration, clock, (lease) =>
      this.#giveUp(flight, lease),
    );
    // A switch that was off a moment ago, when this key's flight was looked for, must not push that one off the map.
    if (coalesce === true || (this.#coalesces() && !this.#flights.has(key))) this.#flights.set(key, flight);
    else this.#loose.add(flight);
    this.#link(flight);
    this.#totals.led += 1;
    if (this.#options.onEvent !== undefined) this.#emit({ type: 'lead', key });
    return flight;
  }

  /**
   * Joins `flight` on behalf of a caller and returns why it may not, where it may not.
   *
   * `parent` is the flight whose work makes the call, where that is known.
   */
  join(
    flight: Flight<K, T, D>,
    parent: Flight<K, T, D> | undefined = this.#parentFromContext(),
  ): SoloflightError | undefined {
    const { maxSubscribers } = this.#options;
    const fromWork = this.#running !== undefined || parent !== undefined;
    if (fromWork && this.#waitsForItself(flight, parent))
      return this.#refuse(new ReentrantFlightError(flight.key), flight.key);
    if (flight.subscribers >= maxSubscribers)
      return this.#refuse(new TooManySubscribersError(flight.key, maxSubscribers), flight.key);
    this.#totals.joined += 1;
    if (this.#options.onEvent !== undefined)
      this.#emit({ type: 'join', key: flight.key, subscribers: flight.subscribers + 1 });
    return undefined;
  }

  /**
   * `join` and `subscribe` in one for the plain case: no signal, no listener, no call from inside other work. `undefined`
   * where the case is not plain.
   */
  follow(flight: Flight<K, T, D>): Promise<T> | undefined {
    const plain = this.#unwatched && this.#running === undefined && flight.outcome === undefined;
    if (!plain || flight.subscribers >= this.#options.maxSubscribers) return undefined;
    flight.subscribers += 1;
    this.#subscribers += 1;
    this.#totals.joined += 1;
    return flight.promise;
  }

  /**
   * The promise of one more subscriber. Without a signal it is the flight's own: following costs nothing more.
   *
   * `signal` must not be aborted yet when the flight is led or joined; work that aborts it synchronously is noticed.
   */
  subscribe(flight: Flight<K, T, D>, signal?: AbortSignal, parent?: Flight<K, T, D>): Promise<T> {
    const result = flight.outcome === undefined ? this.#seat(flight, signal) : flight.promise;
    const waiting = parent ?? this.#parentFromContext();
    if (waiting !== undefined) waiting.awaits(flight, result);
    return result;
  }

  #seat(flight: Flight<K, T, D>, signal: AbortSignal | undefined): Promise<T> {
    flight.subscribers += 1;
    this.#subscribers += 1;
    if (flight.lease?.begun === true) return this.#outwait(flight, flight.lease, signal);
    if (signal === undefined) return flight.promise;
    return flight.subscribe(signal, (count, reason) => {
      // Aborted by a listener that was just told of the flight's end: all have been counted out.
      if (flight.outcome !== undefined || flight.lease?.lost === true) return;
      flight.subscribers -= count;
      this.#subscribers -= count;
      if (flight.subscribers === 0 && !flight.keepAlive) this.#abort(flight, reason);
    });
  }

  /** The promise of a subscriber whose request may outlive the one that leads `flight`; {@link LEADER_LOST} rejects it then. */
  #outwait(flight: Flight<K, T, D>, lease: Lease, signal: AbortSignal | undefined): Promise<T> {
    const left = (): void => {
      if (flight.outcome !== undefined || lease.lost) return;
      flight.subscribers -= 1;
      this.#subscribers -= 1; // The work goes on: stopping it is up to the request that leads it.
    };
    return silenced(lease.outwait(flight.promise, signal, left));
  }

  /** Calls `work` in this tick and settles the flight with its outcome, whichever way it comes. */
  start(flight: Flight<K, T, D>, work: (flight: Flight<K, T, D>) => MaybePromise<T>): void {
    this.startRaw(flight, work, this.#succeeded, this.#failed);
  }

  /**
   * Like {@link start}, for work whose owner makes of `R` what the flight ends with: `arrived` or `lost`, bound to the
   * flight, must end it by {@link succeed} or {@link fail}.
   *
   * The same as to do so in a promise of the work's own, without that promise.
   */
  startRaw<R>(
    flight: Flight<K, T, D>,
    work: (flight: Flight<K, T, D>) => MaybePromise<R>,
    arrived: (this: Flight<K, T, D>, result: R) => void,
    lost: (this: Flight<K, T, D>, error: unknown) => void,
  ): void {
    if (flight.outcome !== undefined) return; // Its leader was aborted before work began, by a listener or a switch.
    flight.lease?.begin(() => this.#timeOut(flight));
    let result: Promise<R>;
    try {
      result = Promise.resolve(this.within(flight, work));
    } catch (error) {
      result = Promise.reject(error);
    }
    // Also a plain value or a synchronous throw settles in a later microtask: callers of this tick still coalesce.
    result.then(arrived.bind(flight), lost.bind(flight));
  }

  /** Calls `run` as part of the work of `flight`, so that a synchronous call for its own key is recognised. */
  within<R>(flight: Flight<K, T, D>, run: (flight: Flight<K, T, D>) => R): R {
    const { asyncContext } = this.#options;
    // A load calls its upstream from inside its own flight, which must not become its own caller.
    if (this.#running === flight) return run(flight);
    flight.calledFrom = this.#running;
    this.#running = flight;
    try {
      return asyncContext === undefined ? run(flight) : asyncContext.run(flight, () => run(flight));
    } finally {
      this.#running = flight.calledFrom;
      flight.calledFrom = undefined;
    }
  }

  /** Frees `key` for a new flight; the current one goes on for its subscribers. */
  forget(key: K): boolean {
    const flight = this.#flights.get(key);
    if (flight === undefined) return false;
    this.#flights.delete(key);
    this.#emit({ type: 'forget', key });
    return true;
  }

  /** Forgets all flights. */
  clear(): void {
    for (const key of [...this.#flights.keys()]) this.forget(key);
  }

  /** Forgets the flight for `key` and keeps its result, and that of uncoalesced ones, away from every tier. */
  fence(key: K): void {
    const flight = this.#flights.get(key);
    if (flight !== undefined) {
      flight.fenced = true;
      this.#flights.delete(key);
    }
    for (const loose of this.#loose) if (Object.is(loose.key, key)) loose.fenced = true;
  }

  /** Fences all flights that are under way. */
  fenceAll(): void {
    for (let flight = this.#oldest; flight !== undefined; flight = flight.newer) flight.fenced = true;
    this.#flights.clear();
  }

  /** Fences the flights for the same key that were opened before `flight`, whose result is about to be published. */
  supersede(flight: Flight<K, T, D>): void {
    if (this.#loose.size === 0) return;
    for (let older = flight.older; older !== undefined; older = older.older) {
      if (Object.is(older.key, flight.key)) older.fenced = true;
    }
  }

  /** Resolves when no flight is left. */
  async idle(): Promise<void> {
    while (this.#newest !== undefined) {
      const { promise, lease } = this.#newest;
      await (lease?.outwait(promise, undefined, ignore) ?? promise).then(ignore, ignore);
    }
  }

  getStats(): SingleflightStats {
    this.#options.leases?.sweep(false);
    const { led, joined } = this.#totals;
    return {
      inFlightCount: this.#live,
      totalSubscribers: this.#subscribers,
      oldestCallAge: this.#oldest === undefined ? null : this.ageOf(this.#oldest),
      ...this.#totals,
      coalescingRatio: joined === 0 ? 0 : joined / (led + joined),
    };
  }

  /** Age of `flight` in milliseconds. */
  ageOf(flight: Flight<K, T, D>): number {
    return this.#options.clock.monotonic() - flight.since;
  }

  succeed(flight: Flight<K, T, D>, value: T): void {
    if (!this.#end(flight, 'succeeded')) return;
    this.#hooks?.ended(flight);
    flight.resolve(value);
  }

  fail(flight: Flight<K, T, D>, error: unknown): void {
    if (!this.#end(flight, 'failed')) return;
    this.#hooks?.ended(flight);
    flight.reject(error);
  }

  #timeOut(flight: Flight<K, T, D>): void {
    const error = new FlightTimeoutError(flight.key, this.ageOf(flight), this.#options.maxDuration);
    this.#end(flight, 'timedOut');
    try {
      if (this.#hooks === undefined) throw error;
      const value = this.#hooks.rescue(flight, error);
      this.#hooks.ended(flight);
      flight.resolve(value);
    } catch (failure) {
      this.#hooks?.ended(flight);
      flight.reject(failure);
    }
    flight.abortSignal(error);
  }

  #abort(flight: Flight<K, T, D>, reason: unknown): void {
    if (!this.#end(flight, 'aborted')) return;
    this.#hooks?.ended(flight);
    flight.reject(reason);
    flight.abortSignal(reason);
  }

  /** Takes `flight` off the map by identity, and off the list. False when it had already ended: the outcome is late. */
  #end(flight: Flight<K, T, D>, outcome: FlightOutcome): boolean {
    if (flight.outcome !== undefined) return false;
    flight.outcome = outcome;
    flight.lease?.end();
    // Given up by others, and back after all: its own subscribers get what it brings.
    if (flight.lease?.lost !== true) this.#strike(flight, outcome);
    return true;
  }

  #strike(flight: Flight<K, T, D>, outcome: FlightOutcome): void {
    if (flight.lease !== undefined) this.#options.leases?.delete(flight.lease);
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    if (this.#loose.size > 0) this.#loose.delete(flight);
    this.#unlink(flight);
    this.#subscribers -= flight.subscribers;
    this.#totals[outcome] += 1;
    if (this.#options.onEvent !== undefined) this.#emit(ended(flight, outcome, this.ageOf(flight)));
  }

  /** The flight on the map for `key`, unless its leader is gone. */
  #current(key: K): Flight<K, T, D> | undefined {
    const flight = this.#flights.get(key);
    return flight !== undefined && this.#isLost(flight) ? undefined : flight;
  }

  /** Gives `flight` up if its leader is gone, and tells whether that is so. */
  #isLost(flight: Flight<K, T, D>): boolean {
    const { lease } = flight;
    if (lease === undefined || lease.left > 0) return false;
    lease.giveUp();
    return true;
  }

  /** Frees all that a flight holds whose leader can't do it any more. Should it come back, its result is for no tier. */
  #giveUp(flight: Flight<K, T, D>, lease: Lease): void {
    if (lease.lost || flight.outcome !== undefined) return;
    lease.lost = flight.fenced = true;
    this.#strike(flight, 'timedOut');
  }

  #link(flight: Flight<K, T, D>): void {
    this.#count(1);
    flight.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = flight;
    else this.#newest.newer = flight;
    this.#newest = flight;
    if (this.#cancelTimer === undefined && this.#options.leases === undefined) this.#arm();
  }

  #count(change: 1 | -1): void {
    this.#live += change;
    const { budget } = this.#options;
    if (budget !== undefined) budget.live += change;
  }

  #unlink(flight: Flight<K, T, D>): void {
    this.#count(-1);
    if (flight.older === undefined) this.#oldest = flight.newer;
    else flight.older.newer = flight.newer;
    if (flight.newer === undefined) this.#newest = flight.older;
    else flight.newer.older = flight.older;
    flight.older = flight.newer = undefined;
  }

  /**
   * Sets the one timer to the deadline of the oldest flight.
   *
   * It is left armed when flights end: it then fires once for nothing, which is cheaper than a timer per flight.
   */
  #arm(): void {
    const { maxDuration, clock } = this.#options;
    if (this.#oldest === undefined || maxDuration === Infinity) return;
    this.#cancelTimer = clock.after(Math.max(1, this.#oldest.since + maxDuration - clock.monotonic()), () => {
      this.#cancelTimer = undefined;
      while (this.#oldest !== undefined && this.ageOf(this.#oldest) >= maxDuration) this.#timeOut(this.#oldest);
      if (this.#cancelTimer === undefined) this.#arm();
    });
  }

  /** Cancels the timer when no flight needs it. */
  rest(): void {
    if (this.#live > 0) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #coalesces(): boolean {
    const { coalesce } = this.#options;
    if (typeof coalesce === 'boolean') return coalesce;
    try {
      const answer: unknown = coalesce();
      return answer !== false;
    } catch {
      return true; // A broken switch must not let a stampede through.
    }
  }

  #waitsForItself(flight: Flight<K, T, D>, parent: Flight<K, T, D> | undefined): boolean {
    for (let running = this.#running; running !== undefined; running = running.calledFrom)
      if (running === flight) return true;
    return parent !== undefined && parent.outcome === undefined && flight.reaches(parent);
  }

  #parentFromContext(): Flight<K, T, D> | undefined {
    const { asyncContext } = this.#options;
    if (asyncContext === undefined) return undefined;
    const store = asyncContext.getStore();
    // A flight of another map is as good: who waits for whom does not end at the border of an instance.
    return store instanceof Flight && store.outcome === undefined ? (store as Flight<K, T, D>) : undefined;
  }

  #refuse<E extends SoloflightError>(error: E, key: K): E {
    this.#totals.rejected += 1;
    this.#emit({ type: 'reject', key, code: error.code });
    return error;
  }

  #emit(event: FlightEvent<K>): void {
    try {
      const returned: unknown = this.#options.onEvent?.(event);
      if (returned instanceof Promise) void silenced(returned);
    } catch {
      // A listener's failure is the listener's own.
    }
  }
}

function ended<K>(
  flight: { readonly key: K; readonly subscribers: number },
  outcome: FlightOutcome,
  durationMs: number,
): FlightEvent<K> {
  const { key, subscribers } = flight;
  if (outcome === 'timedOut') return { type: 'timeout', key, durationMs, subscribers };
  if (outcome === 'aborted') return { type: 'abort', key, durationMs };
  return { type: 'settle', key, outcome, durationMs, subscribers };
}
