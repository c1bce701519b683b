import { createEntry, type HeldEntry } from './entry.js';
import { entryOf } from './invalidate.js';
import { NO_WINDOWS, type LifetimeSettings } from './lifetime.js';
import type { Stages } from './stages.js';

/** The tier that a value comes from which this cache has written and its upstream does not have yet. */
export const WRITES = 'writes';

/** The entry for what pending writes will make of `key`; `undefined` where there are none, or nobody can tell. */
export async function pendingEntry<V>(
  stages: Stages<V>,
  key: string,
  lifetime: LifetimeSettings<V>,
): Promise<HeldEntry<V> | undefined> {
  const { settings, events, clock, marks } = stages;
  let write: { readonly value: V | undefined } | undefined;
  try {
    write = await settings.writes?.pending?.(key);
  } catch (error) {
    events.emit({ type: 'error', source: 'writes', key, error });
  }
  if (write === undefined) return undefined;
  try {
    return entryOf(stages, key, write.value, lifetime);
  } catch (error) {
    // How long it may be kept can't be told: it is handed out, and not kept.
    events.emit({ type: 'error', source: 'ttl', key, error });
    const now = clock.now();
    const times = { startedAt: now, createdAt: now, epoch: marks.epoch };
    return createEntry(settings.isolation.keep(write.value), NO_WINDOWS, times);
  }
}
