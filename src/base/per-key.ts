import { misuse } from '../errors.js';
import { isMap } from './realm.js';

/** The results of `loadMany`, one for each of `keys`. */
export function inOrder(keys: readonly string[], results: unknown): readonly unknown[] {
  const list = isMap(results) ? keys.map((key) => results.get(key)) : results;
  if (Array.isArray(list) && list.length === keys.length) return list;
  throw misuse('result of loadMany', `a Map, or an array of ${keys.length} results in the order of the keys`, results);
}
