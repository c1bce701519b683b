import { inOrder } from '../base/per-key.js';
import { isError } from '../base/realm.js';
import type { Loaded, Upstream } from '../contracts.js';
import { SoloflightError } from '../errors.js';
import type { LoadedKey, LoadMany } from '../read/load-many.js';
import { isLoaded, loaded } from '../read/loaded.js';

/**
 * The `structuredClone` of `value`: a copy that can leave the object.
 *
 * @throws SoloflightError with code `SOLOFLIGHT_UNSERIALIZABLE`, naming the key.
 */
export function plainValue<V>(key: string, value: V): V {
  if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return value;
  try {
    return structuredClone(value);
  } catch (cause) {
    throw new SoloflightError(
      'SOLOFLIGHT_UNSERIALIZABLE',
      `The value of '${key.slice(0, 80)}' can't be stored or sent to a Worker: ${String(cause)}. Return plain data from the upstream: read a Response to its end, leave functions and streams out`,
      { key, cause },
    );
  }
}

/** `upstream` with plain values, so that all answers are alike: from memory, from storage, in a Worker. */
export function plainUpstream<V>(upstream: Upstream<V>): Upstream<V> {
  return async (key, load) => plainResult(key, await upstream(key, load));
}

function plainResult<V>(key: string, result: V | Loaded<V>): V | Loaded<V> {
  if (!isLoaded(result)) return plainValue(key, result);
  return result.kind === 'loaded' ? loaded(plainValue(key, result.value as V), result.control) : result;
}

/** {@link plainUpstream} for many keys. A value that can't be sent fails its own key alone. */
export function plainLoadMany<V>(loadMany: LoadMany<V>): LoadMany<V> {
  return async (keys, context) => {
    const results: unknown = await loadMany(keys, context);
    const inTurn = inOrder(keys, results) as readonly LoadedKey<V>[];
    return inTurn.map((result, index): LoadedKey<V> => {
      if (isError(result)) return result;
      try {
        return plainResult(keys[index] ?? '', result);
      } catch (error) {
        return error as Error;
      }
    });
  };
}
