import { expect, test } from 'vitest';

import { systemClock } from '../../src/base/clock.js';
import { storageSuite } from '../../src/testing/index.js';
import { leasingStorage } from '../support/leasing-storage.ts';

// What the tests of leases stand on must itself be what it claims to be.
storageSuite(
  { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
  {
    open: () => leasingStorage(systemClock),
    supports: { lease: true, setMany: false, deleteMany: false, sweep: false },
  },
);
