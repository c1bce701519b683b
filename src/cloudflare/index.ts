export { Alarms, type AlarmHandler, type AlarmsOptions, type DueAlarm } from './alarms.js';
export { cacheApiStorage, type CacheApiStorageOptions, type CachedResponse, type CacheLike } from './cache-api.js';
export { CacheObject } from './cache-object.js';
export type { ChangeMessage } from './connections.js';
export { durableCache, type DurableCacheClient, type ObjectTagOptions } from './durable-cache.js';
export { durableQueue, type DurableQueueOptions } from './durable-queue.js';
export { durableStorage, type DurableStorageOptions } from './durable-storage.js';
export type { ObjectClient } from './object-client.js';
export type { DurableCacheOptions } from './object-options.js';
export { objectWrites, type ObjectWrites } from './object-writes.js';
export type { ObjectLifetimeOptions, ObjectReadOptions } from './question.js';
export type { DurableCacheClientOptions } from './routing.js';
export { tokenOf } from './token.js';
export { workerCache } from './worker-cache.js';
export {
  workersKvStorage,
  type WorkersKv,
  type WorkersKvMetadata,
  type WorkersKvStorageOptions,
} from './workers-kv.js';
export { WriteConflictError } from '../writes/write-errors.js';
export type { ClientWrite, MessageRate, ObjectWriteOptions } from './write-options.js';
