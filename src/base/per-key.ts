import { misuse } from '../errors.js';

/** The results of `loadMany`, one for each of `keys`. */
export function inOrder(keys: readonly string[], results: unknown): readonly unknown[] {
  const list = isMap(results) ? keys.map((key) => results.get(key)) : results;
  if (Array.isArray(list) && list.length === keys.length) return list;
  throw misuse('result of loadMany', `a Map, or an array of ${keys.length} results in the order of the keys`, results);
}

/** Also one of another realm (Jest, `vm`). */
function isMap(value: unknown): value is ReadonlyMap<string, unknown> {
  return value instanceof Map || Object.prototype.toString.call(value) === '[object Map]';
}

export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}
