import type { Clock, StorageAdapter, StorageTier } from '../contracts.js';
import { misuse } from '../errors.js';
import { defineStorage } from '../tiers/define-storage.js';

/** An operation of a storage tier. */
export type TierOperation =
  | 'get'
  | 'set'
  | 'delete'
  | 'getMany'
  | 'setMany'
  | 'deleteMany'
  | 'setIfNewer'
  | 'version'
  | 'setIfVersion'
  | 'lease'
  | 'keys'
  | 'clear'
  | 'sweep'
  | 'close';

/** A storage tier that can be made to fail, and counts its calls. */
export interface ChaosTier extends StorageTier {
  /** Calls of each operation so far, the failed and the hanging ones included. */
  readonly calls: Readonly<Record<TierOperation, number>>;
  /** Makes the next call of `operation` reject, or throw at once for `how: 'throw'`. Calling this twice affects the next two, and so on. */
  failNext(operation: TierOperation, error?: unknown, how?: 'reject' | 'throw'): void;
  /** Makes every call of `operation` fail until {@link restore}. */
  failAlways(operation: TierOperation | 'all', error?: unknown, how?: 'reject' | 'throw'): void;
  /** Makes calls of `operation` wait until {@link release}. They reach the wrapped tier only then, if at all. */
  hang(operation: TierOperation | 'all'): void;
  /** Lets hanging calls go on, in their order, and later ones pass. */
  release(): void;
  /** Makes calls of `operation` reach the wrapped tier only after `ms` milliseconds on `clock`. */
  delay(operation: TierOperation | 'all', ms: number, clock: Clock): void;
  /** Makes reads of `key`, or of every key if that is `'all'`, answer `garbage`. @default an object that is no entry */
  corrupt(key: string, garbage?: unknown): void;
  /** Ends all trouble, and lets hanging calls go on. Counts stay. */
  restore(): void;
}

interface Failure {
  readonly error: unknown;
  readonly how: 'reject' | 'throw';
}

interface Delay {
  readonly ms: number;
  readonly clock: Clock;
}

const OPERATIONS: readonly TierOperation[] = [
  'get',
  'set',
  'delete',
  'getMany',
  'setMany',
  'deleteMany',
  'setIfNewer',
  'version',
  'setIfVersion',
  'lease',
  'keys',
  'clear',
  'sweep',
  'close',
];

const GARBAGE = Object.freeze({ garbage: true });

/**
 * Wraps `tier` so that a test can make it fail.
 *
 * Without trouble, calls go straight through: synchronous ones stay synchronous. The result has exactly those optional
 * methods that `tier` has. A call with several troubles hangs first, then is delayed, then fails.
 *
 * @example
 * ```ts
 * import { mapStorage, TieredCache } from 'soloflight';
 * import { chaos } from 'soloflight/testing';
 *
 * const storage = chaos(mapStorage());
 * storage.failNext('get', new Error('connection lost'));
 * const cache = new TieredCache<number>({ ttl: '10s', storage, upstream: () => 42 });
 * console.log(await cache.get('a'), storage.calls.get); // 42 1
 * ```
 */
export function chaos(tier: StorageAdapter): ChaosTier {
  if (typeof tier !== 'object' || tier === null) throw misuse('tier', 'a storage tier', tier);
  const trouble = new Trouble();
  const operations: Partial<Record<TierOperation, (...args: never[]) => unknown>> = {};
  for (const operation of OPERATIONS) {
    const method = tier[operation] as ((...args: never[]) => unknown) | undefined;
    if (typeof method !== 'function') continue;
    operations[operation] = (...args) =>
      trouble.meet(operation, () => trouble.read(operation, args, () => method.apply(tier, args)));
  }
  const controls: Omit<ChaosTier, keyof StorageTier> = {
    calls: trouble.calls,
    failNext: (operation, error = failureOf(operation), how = 'reject') => trouble.failNext(operation, { error, how }),
    failAlways: (operation, error, how = 'reject') => {
      for (const each of named(operation)) trouble.failing.set(each, { error: error ?? failureOf(each), how });
    },
    hang: (operation) => named(operation).forEach((each) => trouble.hanging.add(each)),
    release: () => trouble.release(),
    delay: (operation, ms, clock) => named(operation).forEach((each) => trouble.delayed.set(each, { ms, clock })),
    corrupt: (key, garbage = GARBAGE) => trouble.corrupt.set(key, garbage),
    restore: () => trouble.restore(),
  };
  const messages: Pick<StorageAdapter, 'onLeaseEnd' | 'onReady' | 'onLoss'> = {
    ...(tier.onLeaseEnd && { onLeaseEnd: (key, wake) => tier.onLeaseEnd!(key, wake) }),
    ...(tier.onReady && { onReady: (ready) => tier.onReady!(ready) }),
    ...(tier.onLoss && { onLoss: (lost) => tier.onLoss!(lost) }),
  };
  const adapter = { name: tier.name, forgets: tier.forgets, ...operations, ...messages } as StorageAdapter;
  return Object.assign(defineStorage(adapter), controls);
}

/** The current trouble of a tier. */
class Trouble {
  readonly calls: Record<TierOperation, number> = Object.fromEntries(
    OPERATIONS.map((operation) => [operation, 0]),
  ) as Record<TierOperation, number>;
  readonly failing = new Map<TierOperation, Failure>();
  readonly hanging = new Set<TierOperation>();
  readonly delayed = new Map<TierOperation, Delay>();
  /** The garbage that reads answer, by key or for `'all'`. */
  readonly corrupt = new Map<string, unknown>();
  readonly #failingNext = new Map<TierOperation, Failure[]>();
  #held: (() => void)[] = [];

  /** Puts a call of `operation` through its trouble, and runs `run` unless that ends in failure. */
  meet(operation: TierOperation, run: () => unknown): unknown {
    this.calls[operation] += 1;
    // Decided at the call: `failNext` means the next call, not the next one to be released.
    const failure = this.#failingNext.get(operation)?.shift() ?? this.failing.get(operation);
    const delay = this.delayed.get(operation);
    if (!this.hanging.has(operation) && delay === undefined) return finish(failure, run);
    return this.#wait(operation, delay).then(() => finish(failure, run));
  }

  /** Answers a read with the result of `run`, or with garbage for corrupt keys. */
  read(operation: TierOperation, args: readonly unknown[], run: () => unknown): unknown {
    if (this.corrupt.size === 0) return run();
    if (operation === 'get') return this.#garbled(args[0]) ? this.#garbage(args[0]) : run();
    if (operation !== 'getMany') return run();
    const keys = args[0] as readonly string[];
    const garble = (entries: readonly unknown[]): unknown[] =>
      entries.map((entry, index) => (this.#garbled(keys[index]) ? this.#garbage(keys[index]) : entry));
    const entries = run() as readonly unknown[] | PromiseLike<readonly unknown[]>;
    return 'then' in entries ? entries.then(garble) : garble(entries);
  }

  failNext(operation: TierOperation, failure: Failure): void {
    checkOperation(operation);
    const failures = this.#failingNext.get(operation) ?? [];
    failures.push(failure);
    this.#failingNext.set(operation, failures);
  }

  release(): void {
    this.hanging.clear();
    const held = this.#held;
    this.#held = [];
    for (const goOn of held) goOn();
  }

  restore(): void {
    this.failing.clear();
    this.#failingNext.clear();
    this.delayed.clear();
    this.corrupt.clear();
    this.release();
  }

  async #wait(operation: TierOperation, delay: Delay | undefined): Promise<void> {
    if (this.hanging.has(operation)) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (delay !== undefined) await new Promise<void>((resolve) => delay.clock.after(delay.ms, resolve));
  }

  #garbled(key: unknown): boolean {
    return this.corrupt.has('all') || this.corrupt.has(key as string);
  }

  #garbage(key: unknown): unknown {
    return this.corrupt.has(key as string) ? this.corrupt.get(key as string) : this.corrupt.get('all');
  }
}

function finish(failure: Failure | undefined, run: () => unknown): unknown {
  if (failure === undefined) return run();
  if (failure.how === 'throw') throw failure.error;
  return Promise.reject(failure.error);
}

function failureOf(operation: TierOperation | 'all'): Error {
  return new Error(`chaos: ${operation} failed`);
}

function named(operation: TierOperation | 'all'): readonly TierOperation[] {
  if (operation === 'all') return OPERATIONS;
  checkOperation(operation);
  return [operation];
}

function checkOperation(operation: unknown): void {
  if (!OPERATIONS.includes(operation as TierOperation))
    throw misuse('operation', `'all' or one of ${OPERATIONS.join(', ')}`, operation);
}
