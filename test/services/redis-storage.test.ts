import { FIRST } from '../support/redis-clients.ts';
import { redisStorageSuite, sharedRedis } from '../support/redis-suites.ts';

// The other clients, and storages without leases: test/full/services/redis-storage.test.ts.
redisStorageSuite(sharedRedis(), FIRST);
