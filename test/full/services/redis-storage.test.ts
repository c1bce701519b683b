import { describe } from 'vitest';

import { FIRST, OTHERS } from '../../support/redis-clients.ts';
import { redisStorageSuite, sharedRedis, withoutNamespaces } from '../../support/redis-suites.ts';

const redis = sharedRedis();

// The first client passes in test/services/redis-storage.test.ts.
describe.each(OTHERS)('%s', (client) => {
  redisStorageSuite(redis, client, { suite: withoutNamespaces });
});

// Without leases other commands are sent. How a client sends them and reads replies is the same for all commands.
describe('without leases', () => {
  redisStorageSuite(redis, FIRST, { lease: false });
});
