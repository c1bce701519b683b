export { redisBackplane, type RedisBackplaneOptions } from './backplane.js';
export type { IoredisLike, NodeRedisLike, RedisClient } from './client.js';
export { redisQueue, type RedisQueueOptions } from './queue.js';
export { redisStorage, type RedisStorageOptions } from './storage.js';
