import type { Lookup, LookupOutcome } from '../read/outcome.js';
import type { ReadOptions } from '../read/read-options.js';

/**
 * The reads of a `TieredCache`. What only reads should take this: a test, or another cache, can stand in.
 */
export interface ReadableCache<V> {
  get(key: string, options?: ReadOptions): Promise<V>;
  getMany(keys: readonly string[], options?: ReadOptions): Promise<(V | undefined)[]>;
  getIfCached(key: string, options?: ReadOptions): Promise<V | undefined>;
  peek(key: string): V | undefined;
  lookup(key: string, options?: ReadOptions): Promise<Lookup<V>>;
  lookupMany(keys: readonly string[], options?: ReadOptions): Promise<LookupOutcome<V>[]>;
  refresh(key: string, options?: ReadOptions): Promise<V>;
}
