export type { RetryOptions } from './backoff.js';
export { batchedUpstream, type BatchedUpstreamOptions } from './batched-upstream.js';
export type { BatchContext, BatcherOptions, BatchRetryOptions, HandleBatch } from './batcher-options.js';
export { Batcher } from './batcher.js';
export { BatcherClosedError, DeliveryTimeoutError } from './write-errors.js';
