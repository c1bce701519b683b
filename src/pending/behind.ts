import { checkMethods } from '../base/checks.js';
import { ignore } from '../base/promises.js';
import { CONNECT, type PendingWrites, type Writes } from '../contracts.js';
import type { Taken, WritesConnector } from '../ports.js';
import type { SourceUpdate, WriteSource } from './source.js';
import { Writer } from './writer.js';

/**
 * Lets a cache take its writes to `writes`, which accepts them now and delivers them later. What a `WriteBehind` and
 * `sharedWrites` are by themselves, for a stand-in of them.
 *
 * @throws TypeError for what lacks a method.
 */
export function defineWrites<V>(writes: PendingWrites<V>): Writes<V> {
  checkMethods('writes', 'pending writes', writes, ['open', 'peek', 'put', 'delete', 'on']);
  return { [CONNECT]: connectPending(writes) };
}

/** Lets a cache write to the upstream by `writes`, later, and see what is pending there. */
export function connectPending<V>(writes: PendingWrites<V>): WritesConnector<V> {
  return { connect: (context) => new Writer(sourceOf(writes), context) };
}

function sourceOf<V>(writes: PendingWrites<V>): WriteSource<V> {
  /** Writes of the cache itself that are not accepted yet, as far as is known. */
  const own = new Map<string, OwnWrite>();
  let tell: (key: string, restored: boolean) => void = ignore;
  async function settled(
    key: string,
    signal: AbortSignal,
    accept: () => Promise<unknown>,
  ): Promise<Taken<V> | undefined> {
    const write: OwnWrite = { signal, heard: 0, refused: 0 };
    own.set(key, write);
    try {
      await accept();
    } catch (error) {
      // A write from before may have ended while this one was refused.
      if (write.heard > write.refused) tell(key, false);
      throw error;
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
        : (key, fn, { signal, current }) => {
            let heard = 0;
            const fresh = (): Promise<V | undefined> => {
              // Somebody else's write has come and gone: what the cache holds may be from before.
              const now = own.get(key)?.heard ?? 0;
              if (now > heard) tell(key, false);
              heard = now;
              return current();
            };
            return settled(key, signal, () => updateOrDelete(writes, key, fn, { signal, current: fresh }));
          },
    async pending(key) {
      await writes.open();
      return pending(key);
    },
    watch(changed) {
      tell = changed;
      /** Keys of which storage may hold an older value than what is pending, since another tab or process had accepted that. */
      const restored = new Set<string>();
      const ends = TYPES.map((type) =>
        writes.on(type, (event) => {
          const key = keyOf(event);
          if (key === undefined) return;
          if (type === 'restore') restored.add(key);
          // Nothing is pending any more that would hide what storage holds.
          if (type === 'deliver' && !restored.delete(key)) return;
          const write = own.get(key);
          // What becomes of a write of the cache's own is looked at when it is accepted.
          if (write === undefined || write.signal.aborted) changed(key, type === 'restore');
          else {
            write.heard += 1;
            if (type === 'queue-error') write.refused += 1;
          }
        }),
      );
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** The events after which something else is pending for a key. */
const TYPES = ['accept', 'restore', 'deliver', 'conflict', 'dead-letter', 'discard', 'queue-error'] as const;

/** A write that the queue refused was seen by readers all the same. */
function keyOf({ key, error }: { readonly key?: string; readonly error?: unknown }): string | undefined {
  const of = key ?? (Object(error) as { readonly key?: unknown }).key;
  return typeof of === 'string' ? of : undefined;
}

interface OwnWrite {
  readonly signal: AbortSignal;
  /** Events of its key. */
  heard: number;
  /** Those among them that say that it was refused. */
  refused: number;
}

/** To a cache, `undefined` is a value that is not there. */
async function updateOrDelete<V>(
  writes: PendingWrites<V>,
  key: string,
  fn: (current: V | undefined) => V,
  options: Parameters<SourceUpdate<V>>[2],
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
