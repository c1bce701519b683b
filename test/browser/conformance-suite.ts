import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { addSuite } from './suites.js';
import { openTab, sharedProfile } from './support/tabs.js';

const equal = (actual: unknown, expected: unknown): void => expect(actual).toEqual(expected);

/** Runs `suites` inside one tab. */
export function conformance(suites: readonly string[]): void {
  const profile = sharedProfile();
  let tab: Page;
  beforeAll(async () => {
    tab = await openTab(profile());
  });

  describe.each(suites)('%s, in Chromium', (suite) => {
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
}
