import { freshness } from '../entry.js';
import { SomeKeysFailedError } from '../errors.js';
import { lookup } from './lookup.js';
import type { Answer } from './outcome.js';
import type { Ask, Reads } from './reads.js';

/** How the read of one of several keys ended. */
export type Settled<V> = Answer<V> | { readonly error: unknown };

/**
 * Reads several keys at once, each as if alone: what memory has fresh at once, the rest in flights of their own.
 *
 * The flights share one reading of storage and one `loadMany`, since they ask in the same turn; each is joined by other
 * readers, invalidated, aborted and settled by itself. Results are in the order of the keys.
 */
export function lookupMany<V>(reads: Reads<V>, keys: readonly string[], ask: Ask<V>): Promise<readonly Settled<V>[]> {
  return Promise.all(
    keys.map((key) => lookup(reads, key, ask, reads.stories).catch((error: unknown): Settled<V> => ({ error }))),
  );
}

/** The values of `keys`, `undefined` where there is none. @throws SomeKeysFailedError that names those that failed. */
export async function getMany<V>(reads: Reads<V>, keys: readonly string[], ask: Ask<V>): Promise<(V | undefined)[]> {
  const values = fresh(reads, keys, ask);
  if (values !== undefined) return values;
  const settled = await lookupMany(reads, keys, ask);
  const failures = new Map<string, unknown>();
  const found = settled.map((end, index) => {
    if ('error' in end) failures.set(keys[index]!, end.error);
    return 'error' in end ? undefined : end.outcome.entry.value;
  });
  if (failures.size > 0) throw new SomeKeysFailedError(failures);
  return found;
}

/** All values, where memory has all of them fresh and nobody needs to know more: no promise per key. */
function fresh<V>(reads: Reads<V>, keys: readonly string[], ask: Ask<V>): (V | undefined)[] | undefined {
  const { rules, events, turn, held, counters } = reads;
  if (ask.read.signal !== undefined || events.heard || rules.refreshAhead !== undefined) return undefined;
  const now = turn.now();
  const values: (V | undefined)[] = [];
  for (const key of keys) {
    const entry = held.get(key);
    if (entry === undefined || freshness(entry, now) !== 'fresh') return undefined;
    values.push(entry.value);
  }
  counters.hits += keys.length;
  return values;
}
