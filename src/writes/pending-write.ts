import { copyOf } from '../base/copy.js';
import type { DeadReason, QueuedWrite } from '../contracts.js';

/** A write on its way to the sink. */
export interface PendingWrite<V> {
  /**
   * The idempotency key: the same in every attempt, also after a restart, and never that of another value. A sink that
   * remembers the ids it has taken turns at-least-once into exactly-once.
   */
  readonly id: string;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  /** Absent for a delete. */
  readonly value?: V;
  /** Epoch milliseconds at which the value was last changed. */
  readonly at: number;
  /** Deliveries begun, this one included. Above 1, the sink may have seen the write before. */
  readonly attempts: number;
}

/** A write that is not delivered any more. */
export interface DeadLetter<V> extends PendingWrite<V> {
  /** `'rejected'` by the sink, a `'conflict'` that nothing resolved, or `'exhausted'` retries. */
  readonly cause: DeadReason['cause'];
  readonly reason: string;
  /** Epoch milliseconds at which it became a dead letter. */
  readonly deadSince: number;
}

/** `write` as sinks and callers see it. */
export function toPendingWrite<V>(write: QueuedWrite): PendingWrite<V> {
  const { key, kind, at, attempts } = write;
  const id = idOf(write);
  return kind === 'delete' ? { id, key, kind, at, attempts } : { id, key, kind, value: write.value as V, at, attempts };
}

export function toDeadLetter<V>(write: QueuedWrite, { cause, reason, at }: DeadReason): DeadLetter<V> {
  return { ...toPendingWrite<V>(isolated(write)), cause, reason, deadSince: at };
}

/** `write` with a value of its own, for those who may change it: the next attempt must deliver the same. */
export function isolated(write: QueuedWrite): QueuedWrite {
  try {
    const value = copyOf('value', write.value);
    return value === write.value ? write : { ...write, value };
  } catch {
    // Only a queue's codec can have made such a value.
    return write;
  }
}

/** A value changed by a conflict gets another id: a sink that remembers ids must not take it for the old value. */
function idOf({ id, revision }: QueuedWrite): string {
  return revision === 0 ? id : `${id}.${revision}`;
}
