import { fleetSuite } from '../support/fleet-suite.ts';
import { sharedRedis } from '../support/redis-suites.ts';

// More processes, long histories and trouble: test/full/services.
fleetSuite(sharedRedis(), 6);
