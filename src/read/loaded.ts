import type { Loaded, LoadControl } from '../contracts.js';
import { checkControl } from './lifetime.js';

/** Marks results of `loaded()` and `notModified()`, also those of another copy of the package. */
export const LOADED: unique symbol = Symbol.for('soloflight.loaded');

const NO_CONTROL: LoadControl = Object.freeze({});

/**
 * Wraps a loaded value with what the upstream knows of it: lifetime, tags, metadata, or that it must not be stored.
 *
 * @throws TypeError for a control that makes no sense.
 *
 * @example
 * ```ts
 * import { loaded, TieredCache } from 'soloflight';
 *
 * const rates = new TieredCache<number>({
 *   ttl: '1m',
 *   upstream: async () => loaded(1.08, { ttl: '5m', meta: { etag: 'W/"7"' } }),
 * });
 * console.log(await rates.get('EUR/USD')); // 1.08
 * ```
 */
export function loaded<V>(value: V, control: LoadControl = NO_CONTROL): Loaded<V> {
  return mark('loaded', value, control);
}

/**
 * Says that the previous value still holds: it is kept and its life renewed.
 *
 * Without a previous value (`load.stale`) the load fails with a `TypeError`.
 *
 * @see RFC 9110 §15.4.5, the `304` this mirrors.
 */
export function notModified(control: LoadControl = NO_CONTROL): Loaded<never> {
  return mark<never>('not-modified', undefined, control);
}

function mark<V>(kind: Loaded<V>['kind'], value: V | undefined, control: LoadControl): Loaded<V> {
  checkControl(control);
  const result: Loaded<V> = { kind, value, control };
  Object.defineProperty(result, LOADED, { value: true });
  return result;
}

/** Whether `result` was made by {@link loaded} or {@link notModified}, here or by another copy of the package. */
export function isLoaded<V>(result: V | Loaded<V>): result is Loaded<V> {
  return typeof result === 'object' && result !== null && LOADED in result;
}
