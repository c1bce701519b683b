import type { PendingWrites } from 'soloflight';

/**
 * `writes` for a cache whose values say which part of them was edited. What an update makes is put, and so merged with an edit
 * that waits; `writes.update` would replace that edit, and with it what it says to be edited.
 */
export function mergedWrites<V>(writes: PendingWrites<V>): PendingWrites<V> {
  return {
    open: () => writes.open(),
    peek: (key) => writes.peek(key),
    put: (key, value, options) => writes.put(key, value, options),
    delete: (key, options) => writes.delete(key, options),
    on: (type, listener) => writes.on(type, listener),
  };
}
