import type { TagMode } from '../contracts.js';
import { clearHere, dropHere, expireHere, type Changes } from './changes.js';
import { spread } from './spread.js';

/**
 * Makes what is stored for `keys` unusable now; resolves with whether any tier held one of them.
 *
 * Everything up to the first `await` happens in the caller's tick: from then on no read finds the old value, in memory,
 * in a flight or in storage, however late the tiers confirm.
 */
export async function invalidate<V>(changes: Changes<V>, keys: readonly string[]): Promise<boolean> {
  const { clock, storage } = changes;
  const at = clock.now();
  let held = false;
  const stored = await spread(changes, { kind: 'invalidate', keys, at }, (again) =>
    keys.map((key) => {
      if (dropHere(changes, key)) held = true;
      return storage?.remove(key, again(key));
    }),
  );
  return held || stored;
}

/** Makes what is stored for `keys` stale now, and keeps it as a fallback. */
export async function expire<V>(changes: Changes<V>, keys: readonly string[]): Promise<void> {
  const { held, storage } = changes;
  const at = held.now();
  await spread(changes, { kind: 'expire', keys, at }, (again) =>
    keys.map((key) => {
      expireHere(changes, key, at);
      return storage?.mark({ kind: 'expire', key, at }, again(key));
    }),
  );
}

/**
 * Makes all entries that have one of `tags` unusable, or stale, now.
 *
 * Nothing is looked for: entries are compared with their tags' marks when they are read. A load under way is not
 * fenced, since its tags are known only when it is over; callers from now on take its result only if it has none of these.
 */
export async function invalidateTags<V>(changes: Changes<V>, tags: readonly string[], mode: TagMode): Promise<void> {
  const at = changes.marks.mark(changes.space, tags, mode, changes.clock.now());
  const change = { kind: 'tags', tags, mode, at } as const;
  await spread(changes, change, () => [changes.storage?.mark(change)]);
}

/** Makes all entries whose key begins with `prefix` unusable now, in a time that does not depend on how many storage has. */
export async function clear<V>(changes: Changes<V>, prefix = ''): Promise<void> {
  const at = clearHere(changes, changes.clock.now(), prefix);
  const change = { kind: 'clear', at, ...(prefix !== '' && { prefix }) } as const;
  await spread(changes, change, () => [changes.storage?.mark(change)]);
}
