import { Keyv } from 'keyv';
import { expect, test } from 'vitest';

import { keyvStorage } from '../../src/storage/keyv.js';
import { storageSuite } from '../../src/testing/index.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const cannot = { references: false, setIfNewer: false, sweep: false, close: false };

// Other backends and codecs: test/full/conformance/storage-keyv.test.ts.
storageSuite(runner, { open: () => keyvStorage(new Keyv()), supports: { ...cannot, clear: false } });
