import { describe } from 'vitest';

import { OTHERS } from '../../support/redis-clients.ts';
import { redisBackplaneSuite, sharedRedis } from '../../support/redis-suites.ts';

const redis = sharedRedis();

// The first client passes in test/services/redis-backplane.test.ts.
describe.each(OTHERS)('%s', (client) => {
  redisBackplaneSuite(redis, client);
});
