import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

/** Where the page is. */
export const origin: string = inject('browser').origin;

let browser: Browser;
const profiles: BrowserContext[] = [];
const failures: unknown[] = [];

beforeAll(async () => {
  browser = await chromium.connect(inject('browser').endpoint);
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
export async function openTab(profile?: BrowserContext): Promise<Page> {
  const tab = await (profile ?? (await newProfile())).newPage();
  await tab.goto(origin);
  return tab;
}

async function create(): Promise<BrowserContext> {
  const profile = await browser.newContext();
  profile.setDefaultTimeout(10_000);
  profile.on('weberror', (error) => failures.push(error.error()));
  return profile;
}
