import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';
import { expect } from 'vitest';

import { startDatabase, type MainDatabase } from '../../../examples/cache-sync/database/server.js';
import type { FieldName } from '../../../examples/cache-sync/profile.js';
import { startWrangler, type RunningWorker } from '../../examples/start-wrangler.js';
import { freePort } from '../../support/ports.js';

/** How long edits wait in an object before they go to the main database, milliseconds. */
const FLUSH_EVERY = 1_500;

/** Users that no other test has seen. */
const SPARE_USERS = 60;

/** All of the example, running, with a page in which a test can do what a person does. */
export interface CacheSync {
  readonly database: () => MainDatabase;
  /** Where page and Worker are. */
  readonly url: string;
  /** A user whom no test has seen before, called `Name of <id>`. */
  readonly newUser: () => string;
  /** Opens the page in a tab of `profile`, with `user` chosen. */
  readonly open: (profile: BrowserContext, user: string) => Promise<Page>;
  /** Ends the Worker, as a crash of it would. Its objects keep what they stored. */
  readonly stopWorker: () => Promise<void>;
  readonly startWorker: () => Promise<void>;
  readonly stopDatabase: () => Promise<void>;
  readonly startDatabase: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function startCacheSync(): Promise<CacheSync> {
  const folder = await mkdtemp(join(tmpdir(), 'soloflight-cache-sync-'));
  const configFile = fileURLToPath(new URL('../../../examples/cache-sync/vite.config.ts', import.meta.url));
  const page = join(folder, 'page');
  await build({ configFile, logLevel: 'warn', build: { outDir: page } });
  const file = join(folder, 'profiles.sqlite');
  // Both are ended and started again where they were, so nobody else may get their ports meanwhile.
  const ports = { database: await freePort(), worker: await freePort() };
  let database = await startDatabase(file, { port: ports.database });
  for (let id = 1; id <= SPARE_USERS; id += 1)
    database.table.add(`user-${id}`, `Name of user-${id}`, `user-${id}@example.org`);

  const start = (): Promise<RunningWorker> =>
    startWrangler(
      'cache-sync',
      { DATABASE_URL: database.url, FLUSH_EVERY_MS: `${FLUSH_EVERY}` },
      { port: ports.worker, storage: join(folder, 'objects'), args: ['--assets', page] },
    );
  let worker = await start();
  const { url } = worker;
  let users = 0;

  return {
    database: () => database,
    url,
    newUser: () => `user-${(users += 1)}`,
    open: async (profile, user) => {
      const tab = await profile.newPage();
      await tab.goto(url);
      await tab.getByLabel('User', { exact: true }).selectOption(user);
      await expect.poll(() => valueOf(tab, 'mail')).not.toBe('');
      return tab;
    },
    stopWorker: () => worker.stop(),
    startWorker: async () => {
      worker = await start();
    },
    stopDatabase: () => database.close(),
    startDatabase: async () => {
      database = await startDatabase(file, { port: ports.database });
    },
    close: async () => {
      await worker.stop();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const LABELS = { name: 'Name', mail: 'E-mail' } as const;

export function valueOf(tab: Page, field: FieldName): Promise<string> {
  return tab.getByLabel(LABELS[field], { exact: true }).inputValue();
}

/** Types into a field and saves, by keyboard alone. */
export async function editField(tab: Page, field: FieldName, value: string): Promise<void> {
  const input = tab.getByLabel(LABELS[field], { exact: true });
  // What was told of an edit before is not taken for the answer to this one.
  await tab.locator('#saved').evaluate((place) => (place.textContent = ''));
  await input.fill(value);
  await input.press('Enter');
  await expect.poll(() => saved(tab)).toMatch(/^(Saved|Kept|Not saved: the server refused)/);
}

export const saved = (tab: Page): Promise<string> => tab.locator('#saved').innerText();

export const banner = (tab: Page): Promise<string> => tab.locator('#banner').innerText();

/** What the panel says of `term`. */
export const panel = (tab: Page, term: string): Promise<string> =>
  tab
    .locator('dl div', { has: tab.getByText(term, { exact: true }) })
    .locator('dd')
    .innerText();

/** What happened, without the times. */
export async function happened(tab: Page): Promise<string[]> {
  const items = await tab.getByRole('log').getByRole('listitem').allInnerTexts();
  return items.map((item) => item.replace(/^[\d:]+( [AP]M)? /, ''));
}
