import * as browser from '../../src/browser/index.js';
import { isSoloflightError, TieredCache } from '../../src/index.js';
import { runSuiteTest } from './suites.js';

/** What code that tests run inside the page finds in `window.soloflight`. */
const inside = { ...browser, TieredCache, isSoloflightError, runSuiteTest };

declare global {
  interface Window {
    readonly soloflight: typeof inside;
  }
}

Object.assign(window, { soloflight: inside });
