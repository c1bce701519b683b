import { resolvers, silenced, type Resolvers } from '../base/promises.js';
import type { Claim } from './claim.js';

/** How a flight ended. */
export type FlightEnd = 'succeeded' | 'failed' | 'timedOut' | 'aborted';

/** The callers of one flight that share one `AbortSignal`: one listener and one promise, however many they are. */
interface Group<R> extends Resolvers<R> {
  readonly leave: () => void;
  count: number;
}

/**
 * One execution of work for a key, and the callers that wait for it.
 *
 * Knows nothing of the map it is in; {@link FlightMap} opens, joins and ends flights. `R` is what the flight brings, `V` the
 * part of it that plain callers want.
 */
export class Flight<K, R, D = undefined, V = R> {
  readonly key: K;
  /** Monotonic milliseconds at which the flight was opened. */
  readonly since: number;
  /** The notes of the map's owner about this flight. */
  readonly detail: D;
  /** Callers waiting now. Those that aborted are no longer counted. */
  subscribers = 0;
  /** Whether the work goes on when the last subscriber leaves. Only ever set to true. */
  keepAlive = false;
  /** Whether the result may still reach subscribers but no tier. Only ever set to true. */
  fenced = false;
  /** Set once, when the flight ends, before its promises settle. */
  end: FlightEnd | undefined;
  /** Keeps others from waiting for ever where a leader may vanish. Written by the map alone. */
  claim: Claim | undefined;
  /** Neighbours in the list of live flights, oldest first. Written by the map alone. */
  older: Flight<K, R, D, V> | undefined;
  newer: Flight<K, R, D, V> | undefined;
  /** The flight whose work called this one's work synchronously. Written by the map alone. */
  calledFrom: Flight<K, R, D, V> | undefined;
  readonly #valueIn: (result: R) => V;
  #plain: Resolvers<V> | undefined;
  #whole: Resolvers<R> | undefined;
  #groups: Map<AbortSignal, Group<R>> | undefined;
  /** Set when the flight settles, for promises that are asked for later. */
  #settled: 'resolved' | 'rejected' | undefined;
  #result: R | undefined;
  #reason: unknown;
  #controller: AbortController | undefined;
  #awaiting: Map<Promise<unknown>, Flight<K, R, D, V>> | undefined;

  constructor(key: K, since: number, detail: D, valueIn: (result: R) => V) {
    this.key = key;
    this.since = since;
    this.detail = detail;
    this.#valueIn = valueIn;
  }

  /** The result, shared by all subscribers that passed no signal. Settles after the key is free. Made when first asked for. */
  get promise(): Promise<R> {
    return (this.#whole ??= this.#made<R>((result) => result)).promise;
  }

  /** The same for those who want the value alone. */
  get value(): Promise<V> {
    return (this.#plain ??= this.#made<V>(this.#valueIn)).promise;
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
  subscribe(signal: AbortSignal, onLeave: (count: number, reason: unknown) => void): Promise<R> {
    const groups = (this.#groups ??= new Map());
    const known = groups.get(signal);
    if (known !== undefined) {
      known.count += 1;
      return known.promise;
    }

    const leave = (): void => {
      signal.removeEventListener('abort', leave);
      groups.delete(signal);
      refuse(group, signal.reason);
      onLeave(group.count, signal.reason);
    };
    const group: Group<R> = { ...resolvers<R>(), leave, count: 1 };
    groups.set(signal, group);
    signal.addEventListener('abort', leave);
    // A listener or a switch that ran since the caller's signal was checked may have aborted it: no event would come.
    if (signal.aborted) leave();
    return group.promise;
  }

  resolve(result: R): void {
    this.#settled = 'resolved';
    this.#result = result;
    this.#whole?.resolve(result);
    this.#plain?.resolve(this.#valueIn(result));
    if (this.#groups !== undefined) this.#release((group) => group.resolve(result));
  }

  reject(reason: unknown): void {
    this.#settled = 'rejected';
    this.#reason = reason;
    if (this.#whole !== undefined) refuse(this.#whole, reason);
    if (this.#plain !== undefined) refuse(this.#plain, reason);
    if (this.#groups !== undefined) this.#release((group) => refuse(group, reason));
  }

  /** A promise for the subscribers to come, settled already if the flight is. */
  #made<T>(part: (result: R) => T): Resolvers<T> {
    // Written out: this is made once per flight, of which there may be a hundred thousand.
    let resolve!: (value: T) => void;
    let reject!: (reason: unknown) => void;
    const promise = new Promise<T>((fulfil, refuse) => {
      resolve = fulfil;
      reject = refuse;
    });
    const made = { promise, resolve, reject };
    if (this.#settled === 'resolved') made.resolve(part(this.#result as R));
    if (this.#settled === 'rejected') refuse(made, this.#reason);
    return made;
  }

  #release(settle: (group: Group<R>) => void): void {
    for (const [signal, group] of this.#groups ?? []) {
      signal.removeEventListener('abort', group.leave);
      settle(group);
    }
    this.#groups = undefined;
  }

  /** Notes that this flight's work waits for `other`, until `result` settles: a caller may leave before its flight ends. */
  awaits(other: Flight<K, R, D, V>, result: Promise<unknown>): void {
    const awaiting = (this.#awaiting ??= new Map());
    if (awaiting.has(result)) return;
    awaiting.set(result, other);
    const done = (): void => void awaiting.delete(result);
    result.then(done, done);
  }

  /** Whether this flight is `other`, or waits for it directly or through further flights. One that ended waits for nobody. */
  reaches(other: Flight<K, R, D, V>): boolean {
    // Each flight is looked at once, and a set hands out what is added meanwhile: work may share many parts, many deep.
    const reached = new Set<Flight<K, R, D, V>>([this]);
    for (const flight of reached) {
      if (flight === other) return true;
      if (flight.end !== undefined) continue;
      for (const next of flight.#awaiting?.values() ?? []) reached.add(next);
    }
    return false;
  }
}

function refuse({ promise, reject }: Pick<Resolvers<unknown>, 'promise' | 'reject'>, reason: unknown): void {
  void silenced(promise);
  reject(reason);
}
