import { createEntry, type HeldEntry } from '../entry.js';
import { TierTimeoutError } from '../errors.js';
import { ignore, silenced } from '../flights/flight.js';
import { entryOf, invalidate } from '../change/invalidate.js';
import { NO_WINDOWS, type LifetimeSettings } from '../read/lifetime.js';
import type { Stages } from '../read/stages.js';
import type { Taken } from './write-port.js';

/** The tier that a value comes from which this cache has written and its upstream does not have yet. */
export const WRITES = 'writes';

/** The entry for what pending writes will make of `key`; `undefined` where there are none, or nobody can tell. */
export async function pendingEntry<V>(
  stages: Stages<V>,
  key: string,
  lifetime: LifetimeSettings<V>,
): Promise<HeldEntry<V> | undefined> {
  const { settings, events, clock, marks } = stages;
  let write: Taken<V> | undefined;
  try {
    write = await soon(stages, key, settings.writes?.pending?.(key));
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

/**
 * What `pending` gives, or nothing if that takes longer than storage may: a queue, or a tab that leads, may hang, and is a
 * missing tier then. What turns out to be pending afterwards makes unusable what was read past it.
 */
function soon<V>(
  stages: Stages<V>,
  key: string,
  pending: Promise<Taken<V> | undefined> | undefined,
): Promise<Taken<V> | undefined> | undefined {
  const { clock, events, settings } = stages;
  if (pending === undefined || settings.readTimeout === Infinity) return pending;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(settings.readTimeout, () => {
      const error = new TierTimeoutError(WRITES, 'get', settings.readTimeout);
      events.emit({ type: 'error', source: 'writes', key, error });
      resolve(undefined);
      const late = (write: Taken<V> | undefined): void => {
        if (write !== undefined) void silenced(invalidate(stages, [key]));
      };
      pending.then(late, ignore);
    });
    pending.then(resolve, reject).then(cancel, cancel);
  });
}
