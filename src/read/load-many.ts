import { Batch, type BatchLimits } from '../base/batch.js';
import { checkCount, checkNames, checkObject } from '../base/checks.js';
import { afterAwaited } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import { inOrder } from '../base/per-key.js';
import { rejection } from '../base/promises.js';
import { isError } from '../base/realm.js';
import type { Clock, Duration, LoadContext, Loaded, MaybePromise, Upstream } from '../contracts.js';
import { misuse } from '../errors.js';

/** What a batch load is told. */
export interface LoadManyContext {
  /** Aborts when nobody waits for any of the keys any more. */
  readonly signal: AbortSignal;
}

/** What a batch load brings for one key: its value, `loaded(value, …)` with what is known of it, or why it failed. */
export type LoadedKey<V> = V | Loaded<V> | Error;

/** A Map may lack keys, so a cache whose values can't be `undefined` takes arrays only. */
type LoadedMap<V> = undefined extends V
  ? ReadonlyMap<string, LoadedKey<V>>
  : 'A Map may lack keys: write TieredCache<Value | undefined>, or answer with an array';

/**
 * Loads several keys at once: a Map of what there is, or an array in the order of the keys. An `Error` fails its key
 * alone. What is missing or `undefined` is absent.
 */
export type LoadMany<V> = (
  keys: readonly string[],
  context: LoadManyContext,
) => MaybePromise<LoadedMap<V> | readonly LoadedKey<V>[]>;

/** When the keys that `loadMany` is asked for go. */
export interface BatchOptions {
  /** How long keys are collected. Not with `requestScope()`: a timer ends with its request. @default to the end of the turn of the event loop */
  readonly wait?: Duration | undefined;
  /** Keys of one call at most. An integer ≥ 1 or `Infinity`. A batch that is full does not wait. @default Infinity */
  readonly max?: number | undefined;
}

interface Wanted<V> {
  readonly key: string;
  /** `isOver`: the flight has ended. Asked instead of the signal, which would then have to be made. */
  readonly load: LoadContext<V> & { readonly isOver?: boolean };
}

/** @throws TypeError for an option that makes no sense. */
export function resolveBatch(options: BatchOptions, clock: Clock, mayWait: boolean): BatchLimits {
  checkObject('batch', options);
  checkNames(options, ['wait', 'max']);
  const { wait = 0, max = Infinity } = options;
  checkCount('batch.max', max);
  const ms = parseDuration('batch.wait', wait);
  if (ms === 0) return { max };
  if (!mayWait) throw misuse('batch.wait', 'left out with `requestScope()`: a timer ends with its request', wait);
  return { max, later: (run) => afterAwaited(clock, ms, run) };
}

/** An upstream that loads the keys asked for in one turn together; a single one through `single`, where there is that. */
export function gathering<V>(
  loadMany: LoadMany<V>,
  single: Upstream<V> | undefined,
  limits?: BatchLimits,
): Upstream<V> {
  const loadAll = async (wanted: readonly Wanted<V>[]): Promise<(V | Loaded<V> | Promise<never>)[]> => {
    const [only] = wanted;
    if (only === undefined) return [];
    if (wanted.length === 1 && single !== undefined) return [await single(only.key, only.load)];
    const keys = wanted.map(({ key }) => key);
    const results = inOrder(keys, await loadMany(keys, new Context(wanted))) as readonly LoadedKey<V>[];
    return results.map((result) => (isError(result) ? rejection(result) : result));
  };
  const batch = new Batch<Wanted<V>, V | Loaded<V>>(async (all) => {
    // Flights may end while their batch is collected: nobody waits for these keys any more.
    const wanted = all.filter(({ load }) => load.isOver !== true);
    const results = await loadAll(wanted);
    if (wanted.length === all.length) return results;
    const found = new Map(wanted.map((one, index) => [one, results[index]!]));
    return all.map((one) => found.get(one) as V);
  }, limits);
  return (key, load) => batch.add({ key, load });
}

/** The face of a batch load. Its signal is made when first asked for. */
class Context<V> implements LoadManyContext {
  readonly #wanted: readonly Wanted<V>[];
  #controller: AbortController | undefined;

  constructor(wanted: readonly Wanted<V>[]) {
    this.#wanted = wanted;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= whenAllAbort(this.#wanted.map(({ load }) => load.signal))).signal;
  }
}

function whenAllAbort(signals: readonly AbortSignal[]): AbortController {
  const controller = new AbortController();
  let left = signals.filter(({ aborted }) => !aborted).length;
  for (const signal of signals) {
    if (signal.aborted) continue;
    signal.addEventListener(
      'abort',
      () => {
        left -= 1;
        if (left === 0) controller.abort(signal.reason);
      },
      { once: true },
    );
  }
  if (left === 0) controller.abort(signals[0]?.reason);
  return controller;
}
