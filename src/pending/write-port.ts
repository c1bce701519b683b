import type { PendingWrites, WriteThrough } from '../contracts.js';
import { misuse } from '../errors.js';
import { ignore } from '../flights/flight.js';

/** What there is for a key: `undefined` as a value is nothing. */
export interface Taken<V> {
  readonly value: V | undefined;
}

/** How a cache writes to its upstream, at once or later. */
export interface WritePort<V> {
  /** Writes `value`, and gives what there is for the key by then, if that is known to be something else. */
  readonly through: (
    key: string,
    value: V | undefined,
    options: { readonly signal: AbortSignal },
  ) => Promise<Taken<V> | undefined>;
  /** Writes what `fn` makes of what is current when the write is accepted, and gives what `through` does. */
  readonly update: UpdatePort<V> | undefined;
  /** What writes on their way will make of `key`, if there are any. */
  readonly pending: ((key: string) => Promise<Taken<V> | undefined>) | undefined;
  /**
   * Calls `changed` for each key of which pending writes will make something else than `through` was told, until the returned
   * function is called. `restored`: they did so before this process began, or in another one.
   */
  readonly watch: (changed: (key: string, restored: boolean) => void) => () => void;
}

type UpdatePort<V> = (
  key: string,
  fn: (current: V | undefined) => V,
  options: { readonly signal: AbortSignal; readonly current: () => Promise<V | undefined> },
) => Promise<Taken<V> | undefined>;

/** The port for the option `writes`. */
export function resolveWrites<V>(writes: WriteThrough<V> | PendingWrites<V> | undefined): WritePort<V> | undefined {
  if (writes === undefined) return undefined;
  if (isBehind(writes)) return behind(writes);
  const through: unknown = Object(writes).through;
  if (typeof through !== 'function') throw misuse('writes', 'a WriteBehind, or { through: a function }', writes);
  return {
    async through(key, value, options) {
      const taken = await writes.through(key, value, options);
      return taken === undefined ? undefined : { value: taken };
    },
    ...{ update: undefined, pending: undefined },
    watch: unwatched,
  };
}

function behind<V>(writes: PendingWrites<V>): WritePort<V> {
  /** Writes of the cache itself that are not accepted yet, as far as is known. */
  const own = new Map<string, OwnWrite>();
  let tell: (key: string, restored: boolean) => void = ignore;
  async function settled(
    key: string,
    signal: AbortSignal,
    accept: () => Promise<unknown>,
  ): Promise<Taken<V> | undefined> {
    const write: OwnWrite = { signal, heard: 0 };
    own.set(key, write);
    try {
      await accept();
    } finally {
      // One that was given up may end long after the next one began.
      if (own.get(key) === write) own.delete(key);
    }
    // It may have been merged with one that was pending, or replaced already.
    const taken = await pending(key);
    // More than its own acceptance was heard of, and all of that is over.
    if (taken === undefined && write.heard > 1) tell(key, false);
    return taken;
  }
  async function pending(key: string): Promise<Taken<V> | undefined> {
    const write = await writes.peek(key);
    return write === undefined ? undefined : { value: write.value };
  }
  return {
    through: (key, value, options) =>
      settled(key, options.signal, () =>
        value === undefined ? writes.delete(key, options) : writes.put(key, value, options),
      ),
    update:
      writes.update === undefined
        ? undefined
        : (key, fn, options) => settled(key, options.signal, () => updateOrDelete(writes, key, fn, options)),
    async pending(key) {
      await writes.open();
      return pending(key);
    },
    watch(changed) {
      tell = changed;
      const ends = (['accept', 'restore', 'conflict', 'dead-letter', 'queue-error'] as const).map((type) =>
        writes.on(type, (event) => {
          const key = keyOf(event);
          if (key === undefined) return;
          const write = own.get(key);
          // What becomes of a write of the cache's own is looked at when it is accepted.
          if (write === undefined || write.signal.aborted) changed(key, type === 'restore');
          else write.heard += 1;
        }),
      );
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** A write that the queue refused was seen by readers all the same. */
function keyOf({ key, error }: { readonly key?: string; readonly error?: unknown }): string | undefined {
  const of = key ?? (Object(error) as { readonly key?: unknown }).key;
  return typeof of === 'string' ? of : undefined;
}

interface OwnWrite {
  readonly signal: AbortSignal;
  /** Events of its key. */
  heard: number;
}

/** To a cache, `undefined` is a value that is not there. */
async function updateOrDelete<V>(
  writes: PendingWrites<V>,
  key: string,
  fn: (current: V | undefined) => V,
  options: Parameters<UpdatePort<V>>[2],
): Promise<void> {
  let isGone = false;
  const update = (current: V | undefined): V => {
    const next = fn(current);
    isGone = next === undefined;
    return next;
  };
  try {
    await writes.update?.(key, update, options);
  } catch (error) {
    if (!isGone) throw error;
    await writes.delete(key, options);
  }
}

function isBehind<V>(writes: WriteThrough<V> | PendingWrites<V>): writes is PendingWrites<V> {
  const methods = ['open', 'peek', 'put', 'delete', 'on'] as const;
  return methods.every((method) => typeof (Object(writes) as Partial<PendingWrites<V>>)[method] === 'function');
}

function unwatched(): () => void {
  return () => {};
}
