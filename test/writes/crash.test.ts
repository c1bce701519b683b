import { crashSuite } from '../support/crash-suite.ts';

// More crashes: test/full/processes/write-crashes.test.ts.
crashSuite(2);
