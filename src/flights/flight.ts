import type { Lease } from '../requests/heartbeat.js';

/** How a flight ended. */
export type FlightOutcome = 'succeeded' | 'failed' | 'timedOut' | 'aborted';

/** Marks a rejection as seen, so that a promise nobody happens to await never counts as unhandled. */
export function silenced<T>(promise: Promise<T>): Promise<T> {
  promise.then(undefined, ignore);
  return promise;
}

/** A rejected promise that needs no handler. */
export function rejection(reason: unknown): Promise<never> {
  return silenced(Promise.reject(reason));
}

/** Does nothing. */
export function ignore(): void {}

/** The callers of one flight that share one `AbortSignal`: one listener and one promise, however many they are. */
interface Group<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
  readonly leave: () => void;
  count: number;
}

/**
 * `run` as something to bind to flights, for the promises of their work.
 *
 * Two closures, with what they close over, are larger by half; of flights there may be a hundred thousand at once.
 */
export function forFlights<F, A>(run: (flight: F, settled: A) => void): (this: F, settled: A) => void {
  return function (settled) {
    run(this, settled);
  };
}

/**
 * One execution of work for a key, and the callers that wait for it.
 *
 * Knows nothing of the map it is in; {@link FlightMap} opens, joins and ends flights.
 */
export class Flight<K, T, D = undefined> {
  readonly key: K;
  /** Monotonic milliseconds at which the flight was opened. */
  readonly since: number;
  /** What the owner of the map notes beside the flight. */
  readonly detail: D;
  /** Settles after the key is free. Shared by all subscribers that passed no signal. */
  readonly promise: Promise<T>;
  /** Callers waiting now. Those that aborted are no longer counted. */
  subscribers = 0;
  /** Whether the work goes on when the last subscriber leaves. Only ever set to true. */
  keepAlive: boolean;
  /** Whether the result may still reach subscribers but no tier. Only ever set to true. */
  fenced = false;
  /** Set once, when the flight ends. */
  outcome: FlightOutcome | undefined;
  /** What keeps others from waiting for ever where a leader may vanish. Written by the map alone. */
  lease: Lease | undefined;
  /** Neighbours in the list of live flights, oldest first. Written by the map alone. */
  older: Flight<K, T, D> | undefined;
  newer: Flight<K, T, D> | undefined;
  /** The flight whose work called this one's work synchronously. Written by the map alone. */
  calledFrom: Flight<K, T, D> | undefined;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;
  #groups: Map<AbortSignal, Group<T>> | undefined;
  #controller: AbortController | undefined;
  #awaiting: Map<Promise<T>, Flight<K, T, D>> | undefined;

  constructor(key: K, since: number, detail: D, keepAlive: boolean) {
    this.key = key;
    this.since = since;
    this.detail = detail;
    this.keepAlive = keepAlive;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Aborts when the last subscriber left or the flight timed out. Made when first asked for. */
  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  abortSignal(reason: unknown): void {
    // A signal nobody asked for yet must still be found aborted by work that asks later.
    (this.#controller ??= new AbortController()).abort(reason);
  }

  /**
   * The promise for one more caller that may leave through `signal`; `onLeave` is told how many callers left with it.
   *
   * All callers with the same signal share one promise and one listener.
   */
  subscribe(signal: AbortSignal, onLeave: (count: number, reason: unknown) => void): Promise<T> {
    const groups = (this.#groups ??= new Map());
    const known = groups.get(signal);
    if (known !== undefined) {
      known.count += 1;
      return known.promise;
    }

    let resolve!: (value: T) => void;
    let reject!: (reason: unknown) => void;
    const promise = new Promise<T>((fulfil, refuse) => {
      resolve = fulfil;
      reject = refuse;
    });
    const leave = (): void => {
      signal.removeEventListener('abort', leave);
      groups.delete(signal);
      void silenced(promise);
      reject(signal.reason);
      onLeave(group.count, signal.reason);
    };
    const group: Group<T> = { promise, resolve, reject, leave, count: 1 };
    groups.set(signal, group);
    signal.addEventListener('abort', leave);
    // A listener or a switch that ran since the caller's signal was checked may have aborted it: no event would come.
    if (signal.aborted) leave();
    return promise;
  }

  resolve(value: T): void {
    this.#resolve(value);
    if (this.#groups !== undefined) this.#release(this.#groups, (group) => group.resolve(value));
  }

  reject(reason: unknown): void {
    void silenced(this.promise);
    this.#reject(reason);
    if (this.#groups === undefined) return;
    this.#release(this.#groups, (group) => {
      void silenced(group.promise);
      group.reject(reason);
    });
  }

  #release(groups: ReadonlyMap<AbortSignal, Group<T>>, settle: (group: Group<T>) => void): void {
    for (const [signal, group] of groups) {
      signal.removeEventListener('abort', group.leave);
      settle(group);
    }
    this.#groups = undefined;
  }

  /** Notes that this flight's work waits for `other`, until `result` settles: a caller may leave before its flight ends. */
  awaits(other: Flight<K, T, D>, result: Promise<T>): void {
    const awaiting = (this.#awaiting ??= new Map());
    if (awaiting.has(result)) return;
    awaiting.set(result, other);
    const done = (): void => void awaiting.delete(result);
    result.then(done, done);
  }

  /** Whether this flight is `other`, or waits for it directly or through further flights. One that ended waits for nobody. */
  reaches(other: Flight<K, T, D>): boolean {
    if (this === other) return true;
    if (this.#awaiting === undefined) return false;
    // Each flight is looked at once, and a set hands out what is added meanwhile: work may share many parts, many deep.
    const reached = new Set<Flight<K, T, D>>([this]);
    for (const flight of reached) {
      if (flight === other) return true;
      if (flight.outcome !== undefined || flight.#awaiting === undefined) continue;
      for (const next of flight.#awaiting.values()) reached.add(next);
    }
    return false;
  }
}
