/** The events of writes, as plain objects with keys but no values. Durations are milliseconds, instants epoch milliseconds. */
export type WriteEvent =
  /** A write was accepted, or a dead letter was requeued. `coalesced`: into a write that waited already. */
  | { readonly type: 'accept'; readonly key: string; readonly id: string; readonly coalesced: boolean }
  /** The queue held the write when it was opened: from an earlier process, or from another tab. */
  | {
      readonly type: 'restore';
      readonly key: string;
      readonly id: string;
      /** Ids that callers gave the calls which made the write (option `call`), if they gave any. */
      readonly calls?: readonly string[];
    }
  /** The sink has taken the write. */
  | { readonly type: 'deliver'; readonly key: string; readonly id: string; readonly attempts: number }
  /** This write alone will be tried again. */
  | {
      readonly type: 'retry';
      readonly key: string;
      readonly id: string;
      readonly attempts: number;
      readonly retryAt: number;
      readonly error: unknown;
    }
  /** The write conflicted with what the sink holds: it goes on with a resolved value, or was dropped for the remote one. */
  | { readonly type: 'conflict'; readonly key: string; readonly id: string; readonly resolution: 'local' | 'remote' }
  | { readonly type: 'dead-letter'; readonly key: string; readonly id: string; readonly reason: string }
  /** The write was pending, and `wipe` gave it up. */
  | { readonly type: 'discard'; readonly key: string; readonly id: string }
  /** The sink answered for a batch. */
  | { readonly type: 'batch'; readonly size: number; readonly durationMs: number }
  /** The sink failed for a batch as a whole. */
  | {
      readonly type: 'batch-error';
      readonly size: number;
      readonly durationMs: number;
      readonly retryAt: number;
      readonly error: unknown;
    }
  /** The queue failed, or held something that can't be read; the rest goes on. */
  | { readonly type: 'queue-error'; readonly operation: string; readonly error: unknown }
  /** Nothing is pending any more. */
  | { readonly type: 'drain' }
  /** Something the user handed in (a listener, `resolve`, `schedule`) failed. */
  | { readonly type: 'error'; readonly source: string; readonly error: unknown };

/** Names of the events of a `WriteBehind`. */
export type WriteEventType = WriteEvent['type'];

export const WRITE_EVENT_TYPES: readonly WriteEventType[] = [
  ...(['accept', 'restore', 'deliver', 'retry', 'conflict', 'dead-letter', 'discard'] as const),
  ...(['batch', 'batch-error', 'queue-error', 'drain', 'error'] as const),
];

const TYPES: ReadonlySet<string> = new Set(WRITE_EVENT_TYPES);

/** Whether there are events called `name`. */
export function isWriteEventType(name: unknown): name is WriteEventType {
  return TYPES.has(name as string);
}
