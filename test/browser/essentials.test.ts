import { describe } from 'vitest';

import { conformance } from './conformance-suite.js';
import { sharedWritesSuite } from './shared-writes-suite.js';
import { origin } from './support/tabs.js';

conformance(['IndexedDB', 'a queue in IndexedDB']);

describe('writes of several tabs (Web Locks, queue in IndexedDB)', () => {
  sharedWritesSuite(origin, 'indexedDbQueue');
});
