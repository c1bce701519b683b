import type { Word } from './client.js';
import { slotOf } from './names.js';

/** Keys per piece. A client takes no more words than fit into one call of a function: about 60,000. */
const SIZE = 1_000;
/** Pieces under way at a time. */
const LANES = 4;

/** Calls `run` with all `items`, in pieces, a few at a time. Once it fails, no further piece begins. */
export async function inPieces<T>(items: readonly T[], run: (piece: readonly T[]) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const piece = items.slice(next, next + SIZE);
      next += SIZE;
      try {
        await run(piece);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** `items` in groups that may share one command: on a cluster, those whose names have the same slot. */
export function bySlot<T>(
  isCluster: boolean,
  items: readonly T[],
  nameOf: (item: T) => Word,
): readonly (readonly [T, ...T[]])[] {
  const groups = new Map<number, [T, ...T[]]>();
  for (const item of items) {
    const slot = isCluster ? slotOf(nameOf(item)) : 0;
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
