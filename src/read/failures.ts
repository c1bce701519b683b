import { LRUCache } from 'lru-cache';

import type { Clock } from '../contracts.js';

/** A failed load that is not to be repeated yet. */
export interface Failure {
  readonly error: unknown;
  /** Monotonic milliseconds. */
  readonly until: number;
  /** Failures in a row. */
  readonly attempts: number;
  /** Whether there was a fallback. Without one, callers get the failure again. */
  readonly covered: boolean;
}

/** Keys whose failures are remembered; beyond it the least recently used are forgotten and simply tried again. */
const MOST_FAILURES = 10_000;

/** The failed loads of a cache: what keeps a dead upstream from being asked again at every read. */
export class Failures {
  readonly #clock: Clock;
  readonly #backoff: { readonly initial: number; readonly max: number };
  #failures: LRUCache<string, Failure> | undefined;
  /** Whether any are remembered: one field to look at where there are none. */
  any = false;

  constructor(clock: Clock, backoff: { readonly initial: number; readonly max: number }) {
    this.#clock = clock;
    this.#backoff = backoff;
  }

  /** The failure that forbids a load of `key` now. */
  active(key: string): Failure | undefined {
    const failure = this.#failures?.get(key);
    return failure !== undefined && this.#clock.monotonic() < failure.until ? failure : undefined;
  }

  /** Notes a failure that a fallback covered: the next try waits for a doubling pause with full jitter. */
  backOff(key: string, error: unknown): void {
    this.#remember(key, error);
  }

  /** Notes a failure that callers are to get again for `ttl` milliseconds. */
  remember(key: string, error: unknown, ttl: number): void {
    this.#remember(key, error, ttl);
  }

  forget(key: string): void {
    this.#failures?.delete(key);
  }

  clear(prefix = ''): void {
    if (prefix !== '') {
      for (const key of [...(this.#failures?.keys() ?? [])]) if (key.startsWith(prefix)) this.forget(key);
      return;
    }
    this.#failures = undefined;
    this.any = false;
  }

  /** Without `ttl` there is a fallback. */
  #remember(key: string, error: unknown, ttl?: number): void {
    this.any = true;
    const failures = (this.#failures ??= new LRUCache({ max: MOST_FAILURES }));
    const attempts = (failures.get(key)?.attempts ?? 0) + 1;
    const until = this.#clock.monotonic() + (ttl ?? this.#pauseAfter(attempts));
    failures.set(key, { error, attempts, covered: ttl === undefined, until });
  }

  #pauseAfter(attempts: number): number {
    const { initial, max } = this.#backoff;
    return Math.min(max, initial * 2 ** (attempts - 1)) * this.#clock.random();
  }
}
