import { count, type Answer } from './answer.js';
import { freshness, type HeldEntry } from '../entry.js';
import { SomeKeysFailedError } from '../errors.js';
import { usable } from './held.js';
import { lookup } from './lookup.js';
import type { Ask, Stages } from './stages.js';

/** How the read of one of several keys ended. */
export type Settled<V> = Answer<V> | { readonly error: unknown };

/**
 * Reads several keys at once, each as if alone: what memory has fresh at once, the rest in flights of their own.
 *
 * The flights share one reading of storage and one `loadMany`, since they ask in the same turn; each is joined by other
 * readers, invalidated, aborted and settled by itself. Results are in the order of the keys.
 */
export function lookupMany<V>(stages: Stages<V>, keys: readonly string[], ask: Ask<V>): Promise<readonly Settled<V>[]> {
  return Promise.all(
    keys.map((key) =>
      lookup(stages, key, ask).then<Settled<V>, Settled<V>>(
        (answer) => answer,
        (error: unknown) => ({ error }),
      ),
    ),
  );
}

/** The values of `keys`, `undefined` where there is none. @throws SomeKeysFailedError that names those that failed. */
export async function getMany<V>(stages: Stages<V>, keys: readonly string[], ask: Ask<V>): Promise<(V | undefined)[]> {
  const values = fresh(stages, keys, ask);
  if (values !== undefined) return values;
  const settled = await lookupMany(stages, keys, ask);
  const failures = new Map<string, unknown>();
  const found = settled.map((end, index) => {
    if ('error' in end) failures.set(keys[index]!, end.error);
    return 'error' in end ? undefined : end.outcome.entry.value;
  });
  if (failures.size > 0) throw new SomeKeysFailedError(failures);
  return found;
}

/** All values, where memory has all of them fresh and nobody needs to know more: no promise per key. */
function fresh<V>(stages: Stages<V>, keys: readonly string[], ask: Ask<V>): (V | undefined)[] | undefined {
  if (ask.read.signal !== undefined || stages.events.heard || stages.ahead !== undefined || stages.isClosed())
    return undefined;
  const now = stages.turn.now();
  const values: (V | undefined)[] = [];
  for (const key of keys) {
    const held = stages.memory.get(key) as HeldEntry<V> | undefined;
    if (held === undefined || usable(stages, held) !== held || freshness(held, now) !== 'fresh') return undefined;
    values.push(held.value);
  }
  count(stages, 'hit', keys.length);
  return values;
}
