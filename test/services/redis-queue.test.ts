import { FIRST } from '../support/redis-clients.ts';
import { redisQueueSuite, sharedRedis } from '../support/redis-suites.ts';

// The other clients, another codec, and what only Redis can do: test/full/services/redis-queue.test.ts.
redisQueueSuite(sharedRedis(), FIRST);
