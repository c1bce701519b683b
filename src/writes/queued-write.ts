import type { DeadReason, QueuedWrite } from '../contracts.js';

const CAUSES: ReadonlySet<unknown> = new Set<DeadReason['cause']>(['rejected', 'conflict', 'exhausted']);

/** Whether `candidate`, read from a storage, has the shape of a write. An error never has. */
export function isQueuedWrite(candidate: unknown): candidate is QueuedWrite {
  if (typeof candidate !== 'object' || candidate === null || candidate instanceof Error) return false;
  const { id, key, kind, sequence, at, attempts, revision, triedFor, dead, calls } = candidate as Partial<QueuedWrite>;
  return (
    typeof id === 'string' &&
    typeof key === 'string' &&
    (kind === 'put' || kind === 'delete') &&
    [sequence, at, attempts, revision, triedFor].every((number) => Number.isFinite(number)) &&
    (dead === undefined || isDeadReason(dead)) &&
    (calls === undefined || (Array.isArray(calls) && calls.every((call) => typeof call === 'string')))
  );
}

function isDeadReason(dead: unknown): boolean {
  if (typeof dead !== 'object' || dead === null) return false;
  const { cause, reason, at } = dead as Partial<DeadReason>;
  return CAUSES.has(cause) && typeof reason === 'string' && Number.isFinite(at);
}
