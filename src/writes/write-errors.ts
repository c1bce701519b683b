import { QUEUE_OWNED } from '../base/owned.js';
import { isSoloflightError, SoloflightError } from '../errors.js';

/** The batcher was closed. */
export class BatcherClosedError extends SoloflightError {
  constructor() {
    super('SOLOFLIGHT_BATCHER_CLOSED', 'The batcher is closed. Create a new one, or close it later');
  }
}

/** The handler of a batch, or a sink, did not answer within its time (milliseconds). */
export class DeliveryTimeoutError extends SoloflightError {
  readonly maxDuration: number;

  constructor(what: string, maxDuration: number) {
    super(
      'SOLOFLIGHT_DELIVERY_TIMEOUT',
      `The ${what} did not answer within ${maxDuration} ms. If it may take longer, raise \`maxDuration\`; if not, pass its \`signal\` on so that it stops`,
    );
    this.maxDuration = maxDuration;
  }
}

/** The `WriteBehind` was closed: the write was not accepted. */
export class WritesClosedError extends SoloflightError {
  constructor(key?: string) {
    super('SOLOFLIGHT_WRITES_CLOSED', 'The write-behind is closed. Create a new one, or close it later', { key });
  }
}

/** `wipe` was called before the write was accepted: it never will be. */
export class WritesDiscardedError extends SoloflightError {
  constructor(key?: string) {
    super('SOLOFLIGHT_WRITES_DISCARDED', 'The write was given up, with all that was pending, by `wipe`', { key });
  }
}

/** `maxPending` writes are waiting already: the write was not accepted. */
export class TooManyWritesError extends SoloflightError {
  readonly maxPending: number;

  constructor(key: string, maxPending: number) {
    super(
      'SOLOFLIGHT_TOO_MANY_WRITES',
      `${maxPending} writes are pending already (\`maxPending\`). Shed this one, retry after a moment, or set \`overflow: 'wait'\``,
      { key },
    );
    this.maxPending = maxPending;
  }
}

/** The queue failed. If it was to keep a write, that write was not accepted. */
export class WriteQueueError extends SoloflightError {
  readonly queue: string;
  /**
   * Whether the queue may hold the write all the same: its answer was lost, and it could not be asked to forget the write
   * yet. No later write of the key is accepted before it was. If the process ends before that, the write may be delivered.
   */
  readonly unknown: boolean;

  constructor(queue: string, operation: string, cause: unknown, { key, unknown = false }: Concern = {}) {
    const doubt = unknown ? '. The queue may hold the write all the same, until it can be asked to forget it' : '';
    super('SOLOFLIGHT_WRITE_QUEUE', `The queue '${queue}' failed to ${operation}${doubt}. The reason is in \`cause\``, {
      key,
      cause,
    });
    this.queue = queue;
    this.unknown = unknown;
  }
}

/** The write that a queue failed with. */
interface Concern {
  readonly key?: string;
  readonly unknown?: boolean;
}

/** The error for callers of a queue that failed. One that has another owner says so itself. */
export function queueError(queue: string, operation: string, cause: unknown, concern?: Concern): SoloflightError {
  return isOwned(cause) ? cause : new WriteQueueError(queue, operation, cause, concern);
}

/** Whether a queue refused a call because it has another owner, so that it certainly did nothing. */
export function isOwned(error: unknown): error is SoloflightError {
  return isSoloflightError(error, QUEUE_OWNED);
}

/** A `WriteBehind` that keeps its writes in memory was closed with writes left: they are lost. */
export class WritesUndeliveredError extends SoloflightError {
  readonly pending: number;
  /** The keys of these writes. */
  readonly keys: readonly string[];

  constructor(pending: number, keys: readonly string[], cause: unknown) {
    super(
      'SOLOFLIGHT_WRITES_UNDELIVERED',
      `${pending} writes could not be delivered and were only kept in memory. Use a queue that outlives the process, or close when the sink is back`,
      { cause },
    );
    this.pending = pending;
    this.keys = keys;
  }
}

/**
 * The write was made without knowing `current`, and was not accepted.
 *
 * Thrown by the `apply` of an object that takes writes. The sender of the change receives the current value, as far as it
 * has a JSON form, and may decide anew.
 */
export class WriteConflictError extends SoloflightError {
  /** The stored value that the change must not replace; `undefined` where there is none. */
  readonly current: unknown;

  constructor(key: string, current: unknown) {
    super(
      'SOLOFLIGHT_WRITE_CONFLICT',
      `The write was made without knowing the value that is stored now. Look at \`current\`, and write again if that still makes sense`,
      { key },
    );
    this.current = current;
  }
}

/** There is no dead letter with this id. */
export class UnknownDeadLetterError extends SoloflightError {
  constructor(id: string) {
    super(
      'SOLOFLIGHT_UNKNOWN_DEAD_LETTER',
      `There is no dead letter '${id}'. It may have been requeued or dropped already`,
    );
  }
}
