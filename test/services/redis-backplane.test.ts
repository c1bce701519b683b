import { FIRST } from '../support/redis-clients.ts';
import { redisBackplaneSuite, sharedRedis } from '../support/redis-suites.ts';

// The other clients: test/full/services/redis-backplane.test.ts.
redisBackplaneSuite(sharedRedis(), FIRST);
