import * as browser from '../../src/browser/index.js';
import { isSoloflightError, TieredCache } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { WriteBehind } from '../../src/writes/index.js';
import { runSuiteTest } from './suites.js';
import { codeOf } from './support/code-of.js';
import { idleWrites } from './support/idle-writes.js';
import { sampleEntry, sampleWrite } from './support/samples.js';

/** What code that tests run inside the page finds in `window.soloflight`. */
const inside = {
  ...browser,
  TieredCache,
  WriteBehind,
  isSoloflightError,
  manualClock,
  runSuiteTest,
  sampleEntry,
  sampleWrite,
  idleWrites,
  codeOf,
};

declare global {
  interface Window {
    readonly soloflight: typeof inside;
  }
}

Object.assign(window, { soloflight: inside });
