import type { QueuedWrite } from '../contracts.js';

/** Whether `candidate`, read from a storage, has the shape of a write. */
export function isQueuedWrite(candidate: unknown): candidate is QueuedWrite {
  if (typeof candidate !== 'object' || candidate === null) return false;
  const { id, key, kind, sequence, at, attempts, revision, triedFor, dead } = candidate as Partial<QueuedWrite>;
  return (
    typeof id === 'string' &&
    typeof key === 'string' &&
    (kind === 'put' || kind === 'delete') &&
    [sequence, at, attempts, revision, triedFor].every((number) => Number.isFinite(number)) &&
    (dead === undefined || isDeadReason(dead))
  );
}

function isDeadReason(dead: unknown): boolean {
  if (typeof dead !== 'object' || dead === null) return false;
  const { cause, reason, at } = dead as Partial<NonNullable<QueuedWrite['dead']>>;
  return typeof cause === 'string' && typeof reason === 'string' && Number.isFinite(at);
}
