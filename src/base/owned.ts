import { SoloflightError } from '../errors.js';

/** The code of what a queue says to those who don't own it. */
export const QUEUE_OWNED = 'SOLOFLIGHT_QUEUE_OWNED';

/** The refusal of a queue that has, or had since, another owner. Nothing was changed. */
export function queueOwned(queue: string): SoloflightError {
  return new SoloflightError(
    QUEUE_OWNED,
    `The queue '${queue}' belongs to another \`WriteBehind\`, in this process or another one. A queue has one owner at a time: close the other one, raise \`ownerWait\`, or give each process a queue of its own`,
  );
}
