import type { PendingWrites, WriteThrough } from './contracts.js';
import { misuse } from './errors.js';

/** How a cache writes to its upstream, at once or later. */
export interface WritePort<V> extends WriteThrough<V> {
  /** What writes on their way will make of `key`, if there are any. */
  readonly pending: ((key: string) => Promise<{ readonly value: V | undefined } | undefined>) | undefined;
  /**
   * Calls `changed` for each key of which pending writes will make something else than `through` was told, until the returned
   * function is called. `restored`: they did so before this process began, or in another one.
   */
  readonly watch: (changed: (key: string, restored: boolean) => void) => () => void;
}

/** The port for the option `writes`. */
export function resolveWrites<V>(writes: WriteThrough<V> | PendingWrites<V> | undefined): WritePort<V> | undefined {
  if (writes === undefined) return undefined;
  if (isBehind(writes)) return behind(writes);
  const through: unknown = Object(writes).through;
  if (typeof through !== 'function') throw misuse('writes', 'a WriteBehind, or { through: a function }', writes);
  return {
    through: (key, value, context) => writes.through(key, value, context),
    pending: undefined,
    watch: unwatched,
  };
}

function behind<V>(writes: PendingWrites<V>): WritePort<V> {
  /** Writes of the cache itself whose outcome was not looked at yet. */
  const own = new Map<string, AbortSignal>();
  return {
    async through(key, value, options) {
      const { signal } = options;
      own.set(key, signal);
      try {
        await (value === undefined ? writes.delete(key, options) : writes.put(key, value, options));
      } finally {
        // One that was given up may end long after the next one began.
        if (own.get(key) === signal) own.delete(key);
      }
      // It may have been merged with one that was pending, or replaced already.
      return (await writes.peek(key))?.value;
    },
    async pending(key) {
      await writes.open();
      const write = await writes.peek(key);
      return write === undefined ? undefined : { value: write.kind === 'put' ? write.value : undefined };
    },
    watch(changed) {
      const ends = (['accept', 'restore', 'conflict', 'dead-letter'] as const).map((type) =>
        writes.on(type, ({ key }) => {
          // What becomes of a write of the cache's own is looked at when it is accepted.
          if (own.get(key)?.aborted !== false) changed(key, type === 'restore');
        }),
      );
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

function isBehind<V>(writes: WriteThrough<V> | PendingWrites<V>): writes is PendingWrites<V> {
  const methods = ['open', 'peek', 'put', 'delete', 'on'] as const;
  return methods.every((method) => typeof (Object(writes) as Partial<PendingWrites<V>>)[method] === 'function');
}

function unwatched(): () => void {
  return () => {};
}
