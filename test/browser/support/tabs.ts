import { chromium, type Browser, type BrowserContext, type Frame, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

import { HANGS_AFTER, waitPatiently } from '../../support/patience.js';
import { INSECURE_HOST } from './chromium.js';

waitPatiently();

const provided = inject('browser');
if ('missing' in provided) throw new Error(provided.missing);
const { endpoint } = provided;

/** Where the page is. */
export const origin: string = provided.origin;

/** The same page without TLS, and so without Web Locks. */
export const insecureOrigin: string = origin.replace('127.0.0.1', INSECURE_HOST);

let browser: Browser;
const profiles: BrowserContext[] = [];
const failures: unknown[] = [];

beforeAll(async () => {
  browser = await chromium.connect(endpoint);
});

afterEach(async () => {
  await Promise.all(profiles.splice(0).map((profile) => profile.close()));
  // Also rejections that nobody handled.
  expect(failures.splice(0)).toEqual([]);
});

afterAll(() => browser.close());

/** A person's browser with nothing in its storage yet, until the end of the test. Its tabs share what they store. */
export async function newProfile(): Promise<BrowserContext> {
  const profile = await create();
  profiles.push(profile);
  return profile;
}

/** One for all tests of a file. */
export function sharedProfile(): () => BrowserContext {
  let profile: BrowserContext;
  beforeAll(async () => {
    profile = await create();
  });
  return () => profile;
}

/** A tab that shows the page, in `profile` or in one of its own. */
export async function openTab(profile?: BrowserContext, from: string = origin): Promise<Page> {
  const tab = await (profile ?? (await newProfile())).newPage();
  await tab.goto(from);
  return tab;
}

let marks = 0;

/**
 * Resolves when `to` sees in localStorage all that `from` has stored by now. The browser tells its processes of a write
 * when it gets round to it, in the order in which they were made.
 */
export async function catchUp(to: Page, from: Page): Promise<void> {
  const mark = `mark-${(marks += 1)}`;
  await from.evaluate((mark) => localStorage.setItem(mark, ''), mark);
  await to.waitForFunction((mark) => localStorage.getItem(mark) !== null, mark);
}

/** A frame in `tab` that may run scripts and store nothing, as where site data is blocked. */
export async function openSandbox(tab: Page): Promise<Frame> {
  const frame = await tab.evaluateHandle((source) => {
    const element = document.createElement('iframe');
    element.sandbox.add('allow-scripts');
    const loaded = new Promise((resolve) => element.addEventListener('load', resolve));
    element.srcdoc = `<script type="module" src="${source}"></script>`;
    document.body.append(element);
    return loaded.then(() => element);
  }, `${origin}/page.js`);
  return (await frame.contentFrame())!;
}

async function create(): Promise<BrowserContext> {
  const profile = await browser.newContext();
  profile.setDefaultTimeout(HANGS_AFTER);
  profile.on('weberror', (error) => failures.push(error.error()));
  return profile;
}
