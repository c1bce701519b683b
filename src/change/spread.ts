import type { TagMode } from '../contracts.js';
import type { Changes } from './changes.js';

/** A change that memory has seen already. */
type Change =
  | { readonly kind: 'set' | 'invalidate' | 'expire'; readonly keys: readonly string[]; readonly at: number }
  | { readonly kind: 'tags'; readonly tags: readonly string[]; readonly mode: TagMode; readonly at: number }
  | { readonly kind: 'clear'; readonly at: number };

/** Tells listeners of `change` at once, and peers when `write` has told storage; resolves with what `write` brought. */
export async function spread<V, T>(changes: Changes<V>, change: Change, write: T | PromiseLike<T>): Promise<T> {
  const { peers, space } = changes;
  announce(changes, change);
  const written = await write;
  // Only when storage is done: others would read from there what they have just dropped.
  if (peers !== undefined && (!('keys' in change) || change.keys.length > 0))
    await peers.tell({ ...change, space: space.path });
  return written;
}

/** Called when all is done that is done at once: one that reads back must not find what was there before. */
function announce<V>({ events }: Changes<V>, change: Change): void {
  const { kind } = change;
  if (!events.wants(kind)) return;
  if (kind === 'tags') events.emit({ type: kind, tags: change.tags, mode: change.mode });
  else if (kind === 'clear') events.emit({ type: kind });
  else for (const key of change.keys) events.emit({ type: kind, key });
}
