import type { Loaded, Upstream } from '../contracts.js';
import { SoloflightError } from '../errors.js';
import type { LoadMany } from '../read/load-many.js';
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
  return async (key, load) => {
    const result: V | Loaded<V> = await upstream(key, load);
    if (!isLoaded(result)) return plainValue(key, result);
    return result.kind === 'loaded' ? loaded(plainValue(key, result.value as V), result.control) : result;
  };
}

/** {@link plainUpstream} for many keys. A value that can't be sent fails its own key alone. */
export function plainLoadMany<V>(loadMany: LoadMany<V>): LoadMany<V> {
  return async (keys, context) => {
    const results = await loadMany(keys, context);
    const inOrder = results instanceof Map ? keys.map((key): V | undefined => results.get(key)) : results;
    // The cache refuses anything but an array with a better message.
    if (!Array.isArray(inOrder)) return results;
    return inOrder.map((result: V | Error | undefined, index) => {
      if (result instanceof Error) return result;
      try {
        return plainValue(keys[index] ?? '', result);
      } catch (error) {
        return error as Error;
      }
    });
  };
}
