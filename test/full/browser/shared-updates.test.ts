import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';

import type { TieredCache } from '../../../src/index.js';
import { suspend } from '../../browser/support/suspension.js';
import { newProfile, openTab } from '../../browser/support/tabs.js';

interface Counting {
  readonly cache: TieredCache<number>;
  readonly writes: ReturnType<typeof window.soloflight.sharedWrites<number>>;
}

declare global {
  interface Window {
    readonly count: () => Promise<number>;
    readonly keep: (value: number) => Promise<void>;
  }
}

async function setup(tabs: number, flushEvery: number) {
  const profile = await newProfile();
  const server = { count: 0 };
  await profile.exposeBinding('count', () => server.count);
  await profile.exposeBinding('keep', (_source, value: number) => {
    server.count = value;
  });
  const all: Page[] = [];
  for (let index = 0; index < tabs; index += 1) {
    const tab = await openTab(profile);
    await tab.evaluate((flushEvery) => {
      const { sharedWrites, TieredCache, WriteBehind, indexedDbQueue } = window.soloflight;
      const writes = sharedWrites<number>({
        name: 'counter',
        open: () =>
          new WriteBehind<number>({
            queue: indexedDbQueue(),
            sink: async (batch) => window.keep(batch.at(-1)!.value!),
            flushEvery,
          }),
      });
      const cache = new TieredCache<number>({
        ttl: '1h',
        upstream: () => window.count(),
        writes,
      });
      Object.assign(window, { cache, writes });
    }, flushEvery);
    all.push(tab);
  }
  await all[0]!.waitForFunction(() => (window as unknown as Counting).writes.leading);
  return { server, tabs: all };
}

/** Adds one so many times, one after another. Resolves to how many times that succeeded. */
const increment = (tab: Page, times: number): Promise<number> =>
  tab.evaluate(async (times) => {
    const { cache } = window as unknown as Counting;
    for (let done = 0; done < times; done += 1) await cache.update('n', (count) => (count ?? 0) + 1);
    return times;
  }, times);

const flush = (tab: Page): Promise<void> => tab.evaluate(() => (window as unknown as Counting).writes.flush());

test.each([
  ['while nothing is delivered', 600_000],
  ['while deliveries go on', 20],
])('updates of ten tabs all count, %s', async (_when, flushEvery) => {
  const { server, tabs } = await setup(10, flushEvery);

  await Promise.all(tabs.map((tab) => increment(tab, 20)));
  await flush(tabs[3]!);

  expect(server.count).toBe(200);
});

// Without a storage: a transaction of a suspended tab holds up those of others, and each set waits for `writeTimeout` then.
test('updates all count while one tab after another that leads is closed, crashes or is suspended', async () => {
  const { server, tabs } = await setup(6, 50);
  const [closed, crashed, suspended, ...others] = tabs as [Page, Page, Page, ...Page[]];
  const leads = (tab: Page): Promise<unknown> =>
    tab.waitForFunction(() => (window as unknown as Counting).writes.leading);
  const counted = Promise.all(others.map((tab) => increment(tab, 60)));

  await closed.close({ runBeforeUnload: true });
  await leads(crashed);
  const gone = crashed.waitForEvent('crash');
  crashed.goto('chrome://crash').catch(() => {});
  await gone;
  await leads(suspended);
  const resume = await suspend(suspended);
  await counted;
  await resume();
  await flush(others[0]!);

  expect(server.count).toBe(180);
});
