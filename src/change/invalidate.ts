import type { TagMode } from '../contracts.js';
import { clearHere, dropHere, expireHere, type Changes } from './changes.js';

/**
 * Makes what is stored for `keys` unusable now; resolves with whether any tier held one of them.
 *
 * Everything up to the first `await` happens in the caller's tick: from then on no read finds the old value, in memory,
 * in a flight or in storage, however late the tiers confirm.
 */
export async function invalidate<V>(changes: Changes<V>, keys: readonly string[]): Promise<boolean> {
  const { clock, storage, peers, space } = changes;
  const at = clock.now();
  let held = false;
  const removals: Promise<boolean>[] = [];
  for (const key of keys) {
    if (dropHere(changes, key)) held = true;
    if (storage !== undefined) removals.push(storage.remove(key));
  }
  announce(changes, 'invalidate', keys);
  const reports = await Promise.all(removals);
  // Only when storage is done: others would read from there what they have just dropped.
  if (keys.length > 0) await peers?.tell({ kind: 'invalidate', keys, at, space: space.path });
  return held || reports.includes(true);
}

/** Makes what is stored for `keys` stale now, and keeps it as a fallback. */
export async function expire<V>(changes: Changes<V>, keys: readonly string[]): Promise<void> {
  const { held, storage, peers, space } = changes;
  const at = held.now();
  const writes: Promise<unknown>[] = [];
  for (const key of keys) {
    expireHere(changes, key, at);
    if (storage !== undefined) writes.push(storage.mark({ kind: 'expire', key, at }));
  }
  announce(changes, 'expire', keys);
  await Promise.all(writes);
  if (keys.length > 0) await peers?.tell({ kind: 'expire', keys, at, space: space.path });
}

/**
 * Makes all entries that have one of `tags` unusable, or stale, now.
 *
 * Nothing is looked for: entries are compared with their tags' marks when they are read. A load under way is not
 * fenced, since its tags are known only when it is over; callers from now on take its result only if it has none of these.
 */
export async function invalidateTags<V>(changes: Changes<V>, tags: readonly string[], mode: TagMode): Promise<void> {
  const { marks, space, clock, events, storage, peers } = changes;
  const at = marks.mark(space, tags, mode, clock.now());
  const write = storage?.mark({ kind: 'tags', tags, mode, at });
  if (events.wants('tags')) events.emit({ type: 'tags', tags, mode });
  await write;
  await peers?.tell({ kind: 'tags', tags, mode, at, space: space.path });
}

/** Makes all entries unusable now, in a time that does not depend on how many there are. */
export async function clear<V>(changes: Changes<V>): Promise<void> {
  const { clock, events, storage, peers, space } = changes;
  const at = clearHere(changes, clock.now());
  const write = storage?.mark({ kind: 'clear', at });
  if (events.wants('clear')) events.emit({ type: 'clear' });
  await write;
  await peers?.tell({ kind: 'clear', at, space: space.path });
}

/** Tells listeners when all is done that is done at once: one that reads back must not find what was there before. */
export function announce<V>(
  { events }: Changes<V>,
  type: 'set' | 'invalidate' | 'expire',
  keys: readonly string[],
): void {
  if (!events.wants(type)) return;
  for (const key of keys) events.emit({ type, key });
}
