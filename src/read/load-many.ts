import { Batch } from '../base/batch.js';
import { rejection } from '../base/promises.js';
import { isError, isMap } from '../base/realm.js';
import type { LoadContext, Loaded, MaybePromise, Upstream } from '../contracts.js';
import { misuse } from '../errors.js';

/** What a batch load is told. */
export interface LoadManyContext {
  /** Aborts when nobody waits for any of the keys any more. */
  readonly signal: AbortSignal;
}

/**
 * Loads several keys at once: a Map of what there is, or an array in the order of the keys in which an `Error` fails its
 * key alone. What is missing or `undefined` is absent.
 */
export type LoadMany<V> = (
  keys: readonly string[],
  context: LoadManyContext,
) => MaybePromise<ReadonlyMap<string, V> | readonly (V | Error | undefined)[]>;

interface Wanted<V> {
  readonly key: string;
  readonly load: LoadContext<V>;
}

/** An upstream that loads the keys asked for in one turn together; a single one through `single`, where there is that. */
export function gathering<V>(loadMany: LoadMany<V>, single: Upstream<V> | undefined): Upstream<V> {
  const batch = new Batch<Wanted<V>, V | Loaded<V>>(async (wanted) => {
    const [only] = wanted;
    if (only !== undefined && wanted.length === 1 && single !== undefined) return [await single(only.key, only.load)];
    const keys = wanted.map(({ key }) => key);
    const results = await loadMany(keys, new Context(wanted));
    return inOrder(keys, results);
  });
  return (key, load) => batch.add({ key, load });
}

function inOrder<V>(keys: readonly string[], results: Awaited<ReturnType<LoadMany<V>>>): (V | Promise<V>)[] {
  if (isMap(results)) return keys.map((key) => results.get(key) as V);
  if (!Array.isArray(results) || results.length !== keys.length) {
    throw misuse(
      'result of loadMany',
      `a Map, or an array of ${keys.length} results in the order of the keys`,
      results,
    );
  }
  return results.map((result: V | Error | undefined) => (isError(result) ? rejection(result) : (result as V)));
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
