import type { Loaded, LoadContext, LoadReason, StaleValue } from '../contracts.js';

/** The part of a `Singleflight`'s context that is used here. */
export interface ScriptedFlight {
  readonly key: string;
  readonly signal: AbortSignal;
}

/** One call of a {@link ScriptedUpstream}, waiting for the test to settle it. */
export interface ScriptedCall<V> {
  readonly key: string;
  readonly signal: AbortSignal;
  /** Why the load happens; `undefined` in a call made as work of a `Singleflight`. */
  readonly reason: LoadReason | undefined;
  /** The previous value, if there is one. */
  readonly stale: StaleValue<V> | undefined;
  /** Whether `resolve` or `reject` was called. An abort alone does not settle a call. */
  readonly settled: boolean;
  /** Answers the call. `undefined` means that there is nothing. @throws Error if it is settled already. */
  resolve(value: V | Loaded<V>): void;
  /** Fails the call, with any reason. @throws Error if it is settled already. */
  reject(error: unknown): void;
}

/** An upstream, or the work of a `Singleflight`, whose every call waits until the test settles it. */
export interface ScriptedUpstream<V> {
  (key: string, load: LoadContext<V>): Promise<V | Loaded<V>>;
  (flight: ScriptedFlight): Promise<V>;
  /** All calls so far, in order. */
  readonly calls: readonly ScriptedCall<V>[];
  /** Number of calls so far. */
  readonly count: number;
  /** Number of calls that wait. */
  readonly pending: number;
  /** Resolves with the first unsettled call that `next` has not given out before; waits for one if need be. */
  next(): Promise<ScriptedCall<V>>;
  /** Answers all calls that wait now. */
  resolveAll(value: V | Loaded<V>): void;
  /** Fails all calls that wait now. */
  rejectAll(error: unknown): void;
}

/**
 * Makes an upstream under the control of a test, so that every interleaving is written out and none is hoped for.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { scriptedUpstream } from 'soloflight/testing';
 *
 * const upstream = scriptedUpstream<string>();
 * const cache = new TieredCache<string>({ ttl: '10s', upstream });
 * const readers = [cache.get('a'), cache.get('a')];
 * (await upstream.next()).resolve('value');
 * console.log((await Promise.all(readers)).join(), upstream.count); // value,value 1
 * ```
 */
export function scriptedUpstream<V = unknown>(): ScriptedUpstream<V> {
  const calls: PendingCall<V>[] = [];
  const given = new WeakSet<PendingCall<V>>();
  const waiting: ((call: PendingCall<V>) => void)[] = [];

  const upstream = (first: string | ScriptedFlight, load?: LoadContext<V>): Promise<V | Loaded<V>> => {
    const call = new PendingCall<V>(typeof first === 'string' ? first : first.key, load ?? (first as ScriptedFlight));
    calls.push(call);
    const receiver = waiting.shift();
    if (receiver !== undefined) give(call, receiver);
    return call.result;
  };
  const give = (call: PendingCall<V>, receiver: (call: PendingCall<V>) => void): void => {
    given.add(call);
    receiver(call);
  };
  const unsettled = (): PendingCall<V>[] => calls.filter((call) => !call.settled);

  const controls = {
    calls,
    next: (): Promise<ScriptedCall<V>> =>
      new Promise((resolve) => {
        const ready = calls.find((call) => !call.settled && !given.has(call));
        if (ready === undefined) waiting.push(resolve);
        else give(ready, resolve);
      }),
    resolveAll: (value: V | Loaded<V>): void => unsettled().forEach((call) => call.resolve(value)),
    rejectAll: (error: unknown): void => unsettled().forEach((call) => call.reject(error)),
  };
  Object.defineProperties(upstream, {
    count: { get: () => calls.length },
    pending: { get: () => unsettled().length },
  });
  return Object.assign(upstream, controls) as unknown as ScriptedUpstream<V>;
}

class PendingCall<V> implements ScriptedCall<V> {
  readonly key: string;
  readonly result: Promise<V | Loaded<V>>;
  readonly #context: ScriptedFlight | LoadContext<V>;
  #resolve!: (value: V | Loaded<V>) => void;
  #reject!: (error: unknown) => void;
  #settled = false;

  constructor(key: string, context: ScriptedFlight | LoadContext<V>) {
    this.key = key;
    this.#context = context;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Read only on demand: a context makes its signal when somebody reads it. */
  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get reason(): LoadReason | undefined {
    return 'reason' in this.#context ? this.#context.reason : undefined;
  }

  get stale(): StaleValue<V> | undefined {
    return 'stale' in this.#context ? this.#context.stale : undefined;
  }

  get settled(): boolean {
    return this.#settled;
  }

  resolve(value: V | Loaded<V>): void {
    this.#settle();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    if (this.#settled)
      throw new Error(
        `This call for '${this.key}' is settled already. Each call of a scripted upstream is settled once; take the next one`,
      );
    this.#settled = true;
  }
}
