import { CONNECT, type MaybePromise, type Writes } from '../contracts.js';
import { misuse } from '../errors.js';
import type { WritesConnector } from '../ports.js';
import type { WriteSource } from './source.js';
import { Writer } from './writer.js';

/**
 * Writes a value to the source of truth; `undefined` deletes.
 *
 * Called for one write of a key at a time, in the order of the calls. What it returns is stored instead, if anything. What it
 * throws reaches the writer, and no tier gets the value. `signal` aborts at the cache's `maxDuration`.
 */
export type WriteFunction<V> = (
  key: string,
  value: V | undefined,
  context: { readonly signal: AbortSignal },
) => MaybePromise<NoInfer<V> | void>;

/**
 * Takes a cache's writes to its source of truth at once: the cache's `set` and `update` resolve when `write` has.
 *
 * @throws TypeError unless `write` is a function.
 *
 * @example
 * ```ts
 * import { TieredCache, writeThrough } from 'soloflight';
 *
 * const rows = new Map<string, string>([['1', 'old']]);
 * const cache = new TieredCache<string>({
 *   ttl: '10s',
 *   upstream: (id) => rows.get(id) as string,
 *   writes: writeThrough((id, text) => void rows.set(id, text ?? '')),
 * });
 * await cache.set('1', 'new');
 * console.log(rows.get('1'), await cache.get('1')); // new new
 * ```
 */
export function writeThrough<V>(write: WriteFunction<V>): Writes<V> {
  if (typeof write !== 'function') throw misuse('write', 'a function', write);
  const source: WriteSource<V> = {
    async through(key, value, options) {
      const taken = await write(key, value, options);
      return taken === undefined ? undefined : { value: taken };
    },
    update: undefined,
    pending: undefined,
    watch: () => () => {},
  };
  const connector: WritesConnector<V> = { connect: (context) => new Writer(source, context) };
  return { [CONNECT]: connector };
}
