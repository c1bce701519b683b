import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { addSuite, QUEUES, STORAGES } from '../../browser/suites.js';
import { openTab, sharedProfile } from '../../browser/support/tabs.js';

const equal = (actual: unknown, expected: unknown): void => expect(actual).toEqual(expected);
const profile = sharedProfile();
let tab: Page;

beforeAll(async () => {
  tab = await openTab(profile());
});

describe.each([...Object.keys(STORAGES), ...Object.keys(QUEUES)])('%s, in Chromium', (suite) => {
  const inside = (title: string): unknown =>
    test(title, async () => {
      const run = tab.evaluate(([suite, title]) => window.soloflight.runSuiteTest(suite, title), [
        suite,
        title,
      ] as const);

      await expect(run).resolves.toBeUndefined();
    });
  addSuite({ test: inside, equal }, suite);
});
