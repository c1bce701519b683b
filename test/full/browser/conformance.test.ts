import { conformance } from '../../browser/conformance-suite.js';
import { QUEUES, STORAGES } from '../../browser/suites.js';

// IndexedDB is part of every run.
conformance([...Object.keys(STORAGES), ...Object.keys(QUEUES)].filter((suite) => !suite.includes('IndexedDB')));
