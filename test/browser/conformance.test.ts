import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { storageSuite } from '../../src/testing/index.js';
import { STORAGES } from './suites.js';
import { openTab, sharedProfile } from './support/tabs.js';

const equal = (actual: unknown, expected: unknown): void => expect(actual).toEqual(expected);
const profile = sharedProfile();
let tab: Page;

beforeAll(async () => {
  tab = await openTab(profile());
});

describe.each(Object.entries(STORAGES))('%s, in Chromium', (suite, options) => {
  const inside = (title: string): unknown =>
    test(title, async () => {
      const run = tab.evaluate(([suite, title]) => window.soloflight.runSuiteTest(suite, title), [
        suite,
        title,
      ] as const);

      await expect(run).resolves.toBeUndefined();
    });
  storageSuite({ test: inside, equal }, options);
});
