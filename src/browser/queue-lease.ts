import { systemClock } from '../base/clock.js';

/** The owner of a queue, as it is stored. Time alone does not end it: it only lets others take the queue. */
export interface QueueLease {
  readonly owner: string;
  /** Epoch milliseconds. */
  readonly ends: number;
}

/** The lease that `owner` gets for `ms` milliseconds; `undefined` while the one that is `stored` belongs to another. */
export function leaseFor(stored: unknown, owner: string, ms: number, takeOver: boolean): QueueLease | undefined {
  const now = systemClock.now();
  const { owner: other, ends } = Object(stored) as Partial<QueueLease>;
  const left = typeof ends === 'number' ? ends - now : 0;
  // Longer than any lease lasts: the clock was set back.
  const isFree = other === undefined || other === owner || left <= 0 || left > 2 * ms;
  return isFree || takeOver ? { owner, ends: now + ms } : undefined;
}
