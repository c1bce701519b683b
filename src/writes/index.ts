export type { DeadReason, Ownership, QueuedWrite, WriteQueue } from '../contracts.js';
export type { RetryOptions } from '../base/backoff.js';
export { batchedUpstream, type BatchedUpstreamOptions } from './batched-upstream.js';
export type { BatchContext, BatcherOptions, BatchRetryOptions, HandleBatch } from './batcher-options.js';
export { Batcher } from './batcher.js';
export type { DeadLetters } from './dead-letters.js';
export { memoryQueue } from './memory-queue.js';
export type { DeadLetter, PendingWrite } from './pending-write.js';
export {
  WriteBehind,
  type CloseOptions,
  type OpenOptions,
  type UpdateOptions,
  type WriteOptions,
  type WriteStatus,
} from './write-behind.js';
export {
  BatcherClosedError,
  DeliveryTimeoutError,
  TooManyWritesError,
  UnknownDeadLetterError,
  WriteConflictError,
  WriteQueueError,
  WritesClosedError,
  WritesDiscardedError,
  WritesUndeliveredError,
} from './write-errors.js';
export type { WriteWatch } from './updates.js';
export type { WriteEvent, WriteEventType } from './write-events.js';
export type { Sink, SinkContext, WriteBehindOptions, WriteOutcome } from './write-options.js';
