import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { catchUp, insecureOrigin, newProfile, openTab, origin } from '../../browser/support/tabs.js';

interface Led {
  readonly led: { readonly leading: boolean; close(): Promise<void> };
}

async function lineUp(tab: Page): Promise<void> {
  await tab.evaluate(() => {
    const led = window.soloflight.whileLeading('work', () => {});
    Object.assign(window, { led });
  });
}

const isLeading = (tab: Page): Promise<boolean> => tab.evaluate(() => (window as unknown as Led).led.leading);
const leads = (tab: Page): Promise<unknown> => tab.waitForFunction(() => (window as unknown as Led).led.leading);

describe.each([
  ['with Web Locks', origin, true],
  ['without, on a page that is no secure context', insecureOrigin, false],
])('%s', (_which, from, hasLocks) => {
  test('one of three tabs leads; when it is closed, or stops, another one does', async () => {
    const profile = await newProfile();
    const [first, second, third] = [
      await openTab(profile, from),
      await openTab(profile, from),
      await openTab(profile, from),
    ];
    expect(await first.evaluate(() => 'locks' in navigator)).toBe(hasLocks);
    await lineUp(first);
    await leads(first);
    await catchUp(second, first);
    await lineUp(second);

    await first.close({ runBeforeUnload: true });
    await leads(second);
    await catchUp(third, second);
    await lineUp(third);
    expect([await isLeading(second), await isLeading(third)]).toEqual([true, false]);
    await second.evaluate(() => (window as unknown as Led).led.close());
    await leads(third);

    expect(await isLeading(second)).toBe(false);
  });

  test('a tab that reloads does not keep another one waiting', async () => {
    const profile = await newProfile();
    const [first, second] = [await openTab(profile, from), await openTab(profile, from)];
    await lineUp(first);
    await leads(first);
    await catchUp(second, first);
    await lineUp(second);

    await first.reload();

    await leads(second);
    expect(await isLeading(second)).toBe(true);
  });
});

describe('a tab that crashes while it leads', () => {
  test('is followed at once', async () => {
    const profile = await newProfile();
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await lineUp(first);
    await leads(first);
    await catchUp(second, first);
    await lineUp(second);

    const crashed = first.waitForEvent('crash');
    first.goto('chrome://crash').catch(() => {});
    await crashed;

    await leads(second);
    expect(await isLeading(second)).toBe(true);
  });
});

describe('a lock that is stolen', () => {
  test('ends the term of the tab that had it, which lines up again', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const terms: AbortSignal[] = [];
      const led = window.soloflight.whileLeading('work', ({ signal }) => void terms.push(signal));
      const until = async (done: () => boolean): Promise<void> => {
        while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await until(() => led.leading);
      await navigator.locks.request('soloflight:work', { steal: true }, () => until(() => !led.leading));
      await until(() => led.leading);
      return terms.map(({ aborted }) => aborted);
    });

    expect(outcome).toEqual([true, false]);
  });
});
