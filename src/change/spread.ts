import type { TagMode } from '../contracts.js';
import type { StorageReport } from '../ports.js';
import type { Changes } from './changes.js';

/** A change that memory has seen already. */
type Change =
  | { readonly kind: 'set' | 'invalidate' | 'expire'; readonly keys: readonly string[]; readonly at: number }
  | { readonly kind: 'tags'; readonly tags: readonly string[]; readonly mode: TagMode; readonly at: number }
  | { readonly kind: 'clear'; readonly at: number; readonly prefix?: string };

/** Writes a change to storage. Calls `again` for a key whenever a tier that missed its change has taken it after all. */
type Write = (again: (key: string) => () => void) => readonly (Promise<StorageReport> | undefined)[];

/** Tells listeners of `change` at once, and peers when `write` has told storage; resolves with whether that held something. */
export async function spread<V>(changes: Changes<V>, change: Change, write: Write): Promise<boolean> {
  const { peers } = changes;
  const space = changes.space.path;
  let isTold = false;
  // Taken after all while others of the call were still being tried.
  const retaken = new Set<string>();
  const again = (key: string) => (): void => {
    if (isTold) void peers?.tell({ ...change, keys: [key], space });
    else retaken.add(key);
  };
  const writes = write(again);
  announce(changes, change);
  const reports = await Promise.all(writes);
  isTold = true;
  // Only when storage is done: others would read from there what they have just dropped.
  if (peers !== undefined) {
    if ('keys' in change) {
      const isMissed = (key: string, index: number): boolean => reports[index]?.taken === false && !retaken.has(key);
      const missed = change.keys.filter((key, index) => isMissed(key, index));
      const taken = change.keys.filter((key, index) => !isMissed(key, index));
      await Promise.all([
        taken.length > 0 && peers.tell({ ...change, keys: taken, space }),
        missed.length > 0 && peers.tell({ ...change, keys: missed, space, pending: true }),
      ]);
    } else await peers.tell({ ...change, space });
  }
  return reports.some((report) => report?.held === true);
}

/** Called when all is done that is done at once: one that reads back must not find what was there before. */
function announce<V>({ events }: Changes<V>, change: Change): void {
  const { kind } = change;
  if (!events.wants(kind)) return;
  if (kind === 'tags') events.emit({ type: kind, tags: change.tags, mode: change.mode });
  else if (kind === 'clear') events.emit({ type: kind, ...(change.prefix !== undefined && { prefix: change.prefix }) });
  else for (const key of change.keys) events.emit({ type: kind, key });
}
