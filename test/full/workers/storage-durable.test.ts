import { describe, expect, test } from 'vitest';

import { storageSuite } from '../../../src/testing/index.js';
import { waitPatiently } from '../../support/patience.js';
import { openDurableTier, reopenDurableTier } from '../../workers/durable-tier.js';

waitPatiently();

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };

describe('the storage of an object that issues no leases', () => {
  storageSuite(runner, {
    open: () => openDurableTier(false),
    supports: { references: false, binary: true, lease: false, reopen: reopenDurableTier },
  });
});
