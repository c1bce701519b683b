import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';

import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';

import { startBrowser } from '../../browser/support/own-chromium.js';
import { openSink } from '../../browser/support/sink.js';
import { openTab } from '../../browser/support/tabs.js';
import { join, leads, type Writing } from '../../browser/support/writing.js';
import { chanceFor, type Chance } from '../../support/chance.js';
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

/** Leaves something of its own in the origin's IndexedDB, past the library. */
const leaveTrace = (tab: Page): Promise<void> =>
  tab.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const opening = indexedDB.open('trace');
        opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore('trace').put(1, 'left'));
        opening.addEventListener('success', () => {
          opening.result.close();
          resolve();
        });
        opening.addEventListener('error', () => reject(opening.error as Error));
      }),
  );

const hasTrace = (tab: Page): Promise<boolean> =>
  tab.evaluate(async () => (await indexedDB.databases()).some(({ name }) => name === 'trace'));

/** So often a browser may throw all of an origin away that it can't read any more after a kill. */
const THROWN_AWAY = 3;

/** A browser that was killed again and again while its tabs wrote, started once more, and the keys that were accepted. */
async function killedWhileWriting(chance: Chance) {
  const folder = await newFolder();
  const accepted: string[] = [];

  for (let round = 0; round < ROUNDS; round += 1) {
    const { browser, profile, tabs } = await start(folder);
    if (round === 0) await leaveTrace(tabs[0]!);
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
  return { accepted, ...(await start(folder)) };
}

test(
  `a browser killed ${ROUNDS} times while its tabs write loses no write that it accepted, and delivers each in the end`,
  { timeout: (1 + THROWN_AWAY) * ROUNDS * 3 * HANGS_AFTER },
  async (context) => {
    const chance = chanceFor(context);
    let killed = await killedWhileWriting(chance);
    // What the browser itself has thrown away, with all else of the origin, nobody could have kept.
    for (let left = THROWN_AWAY; left > 0 && !(await hasTrace(killed.tabs[0]!)); left -= 1) {
      console.warn('The browser has thrown away all that the origin had stored');
      await killed.browser.kill();
      killed = await killedWhileWriting(chance);
    }
    const { accepted, sink, tabs } = killed;
    const lost = async (): Promise<readonly string[]> => {
      const kept = await tabs[1]!.evaluate(async (keys) => {
        const { writes } = window as unknown as Writing;
        return Promise.all(keys.map((key) => writes.read(key)));
      }, accepted);
      return accepted.filter((key, index) => kept[index] !== key);
    };
    // A browser that was killed may not give its store at once.
    await expect.poll(lost).toEqual([]);
    sink.down = false;
    const missing = (): readonly string[] => {
      const delivered = new Set(sink.delivered.map(({ key }) => key));
      return accepted.filter((key) => !delivered.has(key));
    };
    await expect.poll(missing).toEqual([]);
  },
);
