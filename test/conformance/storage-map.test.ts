import { expect, test } from 'vitest';

import { mapStorage } from '../../src/storage/map.js';
import { storageSuite } from '../../src/testing/index.js';

storageSuite(
  { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
  { open: () => mapStorage(), supports: { references: true, binary: true, version: true, keys: true } },
);
