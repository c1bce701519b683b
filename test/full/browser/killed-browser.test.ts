import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { startBrowser } from '../../browser/support/own-chromium.js';
import { openSink } from '../../browser/support/sink.js';
import { openTab } from '../../browser/support/tabs.js';
import { join, leads, type Writing } from '../../browser/support/writing.js';
import { chanceFor } from '../../support/chance.js';
import { HANGS_AFTER } from '../../support/patience.js';
import { runs } from '../../support/property.js';

const ROUNDS = runs(3);
const TABS = 3;

declare global {
  interface Window {
    /** Told of each write that was accepted. */
    readonly accepted: (key: string) => Promise<void>;
  }
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'soloflight-killed-'));
  // What a killed browser has left may still be written to for a moment.
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  return folder;
}

/** Starts the browser over `folder`, with tabs that share the queue in IndexedDB. */
async function start(folder: string) {
  const browser = await startBrowser(folder);
  onTestFinished(() => browser.kill());
  const { profile } = browser;
  const sink = await openSink(profile);
  // What is delivered is not kept any more.
  sink.down = true;
  const tabs = [];
  for (let index = 0; index < TABS; index += 1) {
    const tab = await openTab(profile);
    await join(tab, 'indexedDbQueue');
    tabs.push(tab);
  }
  await leads(tabs[0]!);
  return { browser, profile, sink, tabs };
}

test(
  `a browser killed ${ROUNDS} times while its tabs write loses no write that it accepted, and delivers each in the end`,
  { timeout: ROUNDS * 3 * HANGS_AFTER },
  async (context) => {
    const chance = chanceFor(context);
    const folder = await newFolder();
    const accepted: string[] = [];

    for (let round = 0; round < ROUNDS; round += 1) {
      const { browser, profile, tabs } = await start(folder);
      const enough = Promise.withResolvers<void>();
      let left = 1 + chance.below(40);
      await profile.exposeBinding('accepted', (_source, key: string) => {
        accepted.push(key);
        left -= 1;
        if (left === 0) enough.resolve();
      });
      for (const [index, tab] of tabs.entries()) {
        const name = `${round}-${index}`;
        // Ends with the browser.
        const writing = tab.evaluate(async (name) => {
          for (let count = 0; ; count += 1) {
            const key = `${name}-${count}`;
            await (window as unknown as Writing).writes.put(key, key);
            void window.accepted(key);
          }
        }, name);
        writing.catch(() => {});
      }
      await enough.promise;
      await browser.kill();
    }

    const { sink, tabs } = await start(folder);
    const kept = await tabs[1]!.evaluate(async (keys) => {
      const { writes } = window as unknown as Writing;
      return Promise.all(keys.map((key) => writes.read(key)));
    }, accepted);
    expect(accepted.filter((key, index) => kept[index] !== key)).toEqual([]);
    sink.down = false;
    const missing = (): readonly string[] => {
      const delivered = new Set(sink.delivered.map(({ key }) => key));
      return accepted.filter((key) => !delivered.has(key));
    };
    await expect.poll(missing).toEqual([]);
  },
);
