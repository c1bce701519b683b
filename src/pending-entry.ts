import type { HeldEntry } from './entry.js';
import { entryOf } from './invalidate.js';
import type { LifetimeSettings } from './lifetime.js';
import type { Stages } from './stages.js';

/** The tier that a value comes from which this cache has written and its upstream does not have yet. */
export const WRITES = 'writes';

/** The entry for what pending writes will make of `key`; `undefined` where there are none, or nobody can tell. */
export async function pendingEntry<V>(
  stages: Stages<V>,
  key: string,
  lifetime: LifetimeSettings<V>,
): Promise<HeldEntry<V> | undefined> {
  try {
    const write = await stages.settings.writes?.pending?.(key);
    return write === undefined ? undefined : entryOf(stages, key, write.value, lifetime);
  } catch (error) {
    stages.events.emit({ type: 'error', source: 'writes', key, error });
    return undefined;
  }
}
