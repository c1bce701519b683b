import type { Ownership, WriteQueue } from '../contracts.js';

/** Removes all that `queue` holds, in the name of `owner`. What can't be read stays in a queue that has no `wipe`. */
export async function emptyQueue(queue: WriteQueue, owner: Pick<Ownership, 'remove' | 'wipe'>): Promise<void> {
  if (owner.wipe !== undefined) return owner.wipe();
  const found = [...(await queue.load()), ...(await queue.listDead())];
  await owner.remove(found.flatMap((write) => (write instanceof Error ? [] : [write.id])));
}
