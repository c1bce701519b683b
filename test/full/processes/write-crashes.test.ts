import { crashSuite } from '../../support/crash-suite.ts';

// `SOLOFLIGHT_CRASHES=100` makes it a hundred.
crashSuite(Number(process.env['SOLOFLIGHT_CRASHES'] ?? 20));
