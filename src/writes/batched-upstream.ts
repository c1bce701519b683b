import { checkObject } from '../base/checks.js';
import { isMap } from '../base/realm.js';
import type { Clock, Duration, LoadContext, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import { Singleflight } from '../flights/singleflight.js';
import type { BatchContext, BatcherOptions } from './batcher-options.js';
import { Batcher } from './batcher.js';

/** Options of {@link batchedUpstream}: those of a `Batcher`, without a window, since callers wait for it. */
export interface BatchedUpstreamOptions extends Omit<BatcherOptions<string, unknown>, 'handle'> {
  /** How long keys are collected; 0 until the turn of the event loop ends. @default 0 */
  readonly window?: Duration;
}

/** A Map may lack keys, so an upstream whose values can't be `undefined` takes arrays only. */
type FoundMap<V> = undefined extends V
  ? ReadonlyMap<string, V | Error>
  : 'A Map may lack keys: write batchedUpstream<Value | undefined>, or answer with an array';

/** The part of a load's context that is used here. */
type Asked = Partial<Pick<LoadContext<unknown>, 'signal'>>;

/**
 * An upstream whose single loads become calls of `loadMany`: different keys are batched, identical ones coalesced.
 *
 * `loadMany` answers with a Map of the values found, or with an array in the order of the keys; an `Error` in it fails
 * its key alone. Unlike the option `loadMany` of a cache, this can wait for a window, and asks for one batch at a time.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function batchedUpstream<V>(
  loadMany: (keys: readonly string[], context: BatchContext) => MaybePromise<FoundMap<V> | readonly (V | Error)[]>,
  options: BatchedUpstreamOptions = {},
): (key: string, load?: Asked) => Promise<V> {
  if (typeof loadMany !== 'function') throw misuse('loadMany', 'a function', loadMany);
  checkObject('options', options);
  const batcher = new Batcher<string, V>({
    ...options,
    window: options.window ?? 0,
    handle: async (keys, context) => {
      const answer: unknown = await loadMany(keys, context);
      return isMap(answer) ? keys.map((key) => answer.get(key) as V) : (answer as readonly (V | Error)[]);
    },
  });
  // The batch has a deadline of its own. A flight's deadline would have to include the time that batches queue.
  const clock: { readonly clock?: Clock } = options.clock === undefined ? {} : { clock: options.clock };
  const flights = new Singleflight({ maxDuration: Infinity, ...clock });
  return (key, load) =>
    flights.execute(
      key,
      ({ signal }) => batcher.add(key, { signal }),
      load?.signal === undefined ? {} : { signal: load.signal },
    );
}
