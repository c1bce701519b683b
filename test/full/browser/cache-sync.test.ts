import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  banner,
  editField,
  happened,
  panel,
  saved,
  startCacheSync,
  valueOf,
  type CacheSync,
} from '../../browser/support/cache-sync.js';
import { newProfile } from '../../browser/support/tabs.js';

let app: CacheSync;

beforeAll(async () => {
  app = await startCacheSync();
});

afterAll(() => app.close());

/** The edits of a browser that reach the server, as `user field=value`. Those of several users, or fields, come in any order. */
function watchEdits(profile: BrowserContext): string[] {
  const sent: string[] = [];
  profile.on('response', (response) => {
    const request = response.request();
    if (request.method() !== 'PATCH') return;
    const change = request.postDataJSON() as Record<string, { readonly value: string }>;
    for (const [field, { value }] of Object.entries(change))
      sent.push(`${new URL(request.url()).pathname.split('/').at(-1)} ${field}=${value}`);
  });
  return sent;
}

/** What is in the queue of the browser, as text. */
const queued = (tab: Page): Promise<string> =>
  tab.evaluate(async () => {
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve) => request.addEventListener('success', () => resolve(request.result)));
    const database = await done(indexedDB.open('cache-sync-edits'));
    const writes = await done(database.transaction('writes').objectStore('writes').getAll());
    database.close();
    return JSON.stringify(writes);
  });

const stored = (user: string): unknown => {
  const profile = app.database().table.get(user);
  return profile === undefined ? undefined : [profile.name.value, profile.mail.value];
};

describe('an edit', () => {
  test('is seen live in every tab of the browser and in other browsers, and the database gets it once', async () => {
    const [mine, theirs] = [await newProfile(), await newProfile()];
    const user = app.newUser();
    const tabs = [await app.open(mine, user), await app.open(mine, user), await app.open(theirs, user)] as const;

    await editField(tabs[1], 'name', 'New Name');

    for (const tab of tabs) await expect.poll(() => valueOf(tab, 'name')).toBe('New Name');
    expect(await happened(tabs[2])).toEqual(['The name is now “New Name”, edited elsewhere.']);
    await expect.poll(() => stored(user)).toEqual(['New Name', `${user}@example.org`]);
    const batches = app.database().batches.filter(({ deliveries }) => deliveries.some(({ key }) => key === user));
    expect(batches).toHaveLength(1);
  });

  test('is one of many that reach the database together', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    await app.stopDatabase();

    for (let edit = 1; edit <= 5; edit += 1) await editField(tab, 'name', `Edit ${edit}`);
    await editField(tab, 'mail', 'five@example.org');
    await expect.poll(() => panel(tab, 'Pending writes')).toBe('0');
    await app.startDatabase();

    await expect.poll(() => stored(user)).toEqual(['Edit 5', 'five@example.org']);
    // One that was on its way while the database was away, and all others.
    const batches = app.database().batches.filter(({ deliveries }) => deliveries.some(({ key }) => key === user));
    expect(batches.length).toBeLessThanOrEqual(2);
  });

  test('of another field leaves alone what is being typed', async () => {
    const [mine, theirs] = [await newProfile(), await newProfile()];
    const user = app.newUser();
    const [tab, other] = [await app.open(mine, user), await app.open(theirs, user)];
    await tab.getByLabel('Name').pressSequentially(', half');

    await editField(other, 'mail', 'other@example.org');
    await expect.poll(() => valueOf(tab, 'mail')).toBe('other@example.org');
    await editField(other, 'name', 'Theirs');

    await expect
      .poll(() => tab.locator('#name-note').innerText())
      .toBe('Meanwhile changed to “Theirs”. Saving replaces that.');
    expect(await valueOf(tab, 'name')).toContain(', half');
    await editField(tab, 'name', 'Mine');
    await expect.poll(() => valueOf(other, 'name')).toBe('Mine');
    expect(await tab.locator('#name-note').innerText()).toBe('');
  });
});

describe('without network', () => {
  test('a banner says so, edits are kept through a reload, and each is delivered once when it is back', async () => {
    const profile = await newProfile();
    const [first, second] = [app.newUser(), app.newUser()];
    const tab = await app.open(profile, second);
    await tab.getByLabel('User', { exact: true }).selectOption(first);
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${first}`);
    const sent = watchEdits(profile);
    await tab.evaluate(() => navigator.serviceWorker.ready);
    await expect.poll(() => banner(tab)).toBe('');

    await profile.setOffline(true);
    await expect.poll(() => banner(tab)).toMatch(/^You are offline\./);
    await editField(tab, 'name', 'Offline');
    expect(await saved(tab)).toBe('Kept in this browser, to be sent later.');
    await tab.getByLabel('User', { exact: true }).selectOption(second);
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${second}`);
    await editField(tab, 'mail', 'second@example.org');
    await editField(tab, 'name', 'Second');
    await expect.poll(() => banner(tab)).toContain('2 edits are waiting');
    await tab.reload();

    await expect.poll(() => valueOf(tab, 'name')).toBe('Second');
    expect(await valueOf(tab, 'mail')).toBe('second@example.org');
    await expect.poll(() => banner(tab)).toMatch(/^You are offline\..* 2 edits are waiting\.$/);
    expect(await panel(tab, 'Pending writes')).toBe('2');
    await tab.getByLabel('User', { exact: true }).selectOption(first);
    await expect.poll(() => valueOf(tab, 'name')).toBe('Offline');
    expect(await queued(tab)).toContain('second@example.org');
    expect(sent).toEqual([]);

    await profile.setOffline(false);

    await expect.poll(() => banner(tab)).toBe('');
    expect(await panel(tab, 'Pending writes')).toBe('0');
    await expect.poll(() => panel(tab, 'Last sync')).toMatch(/\d:\d\d/);
    await expect
      .poll(() => sent.toSorted())
      .toEqual([`${first} name=Offline`, `${second} mail=second@example.org`, `${second} name=Second`].toSorted());
    await expect
      .poll(() => [stored(first), stored(second)])
      .toEqual([
        ['Offline', `${first}@example.org`],
        ['Second', 'second@example.org'],
      ]);
  });

  test('tabs of one browser still see each other’s edits, and another tab delivers them when the first is gone', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const [first, second] = [await app.open(profile, user), await app.open(profile, user)];
    await profile.setOffline(true);
    await expect.poll(() => banner(second)).not.toBe('');

    await editField(second, 'name', 'Offline');
    await expect.poll(() => valueOf(first, 'name')).toBe('Offline');
    await expect.poll(() => panel(first, 'Delivering tab')).toBe('this one');
    await first.close();
    await expect.poll(() => panel(second, 'Delivering tab')).toBe('this one');
    await profile.setOffline(false);

    await expect.poll(() => banner(second)).toBe('');
    await expect.poll(() => stored(user)).toEqual(['Offline', `${user}@example.org`]);
  });
});

describe('without the server', () => {
  test('a banner says so, the page can be reloaded and edited, and goes on when the server is back', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    await tab.evaluate(() => navigator.serviceWorker.ready);

    await app.stopWorker();
    await expect.poll(() => banner(tab)).toMatch(/^The server can not be reached\./);
    await tab.reload();
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${user}`);
    await editField(tab, 'name', 'Without server');
    await expect.poll(() => banner(tab)).toContain('1 edit is waiting');
    await app.startWorker();

    await expect.poll(() => banner(tab)).toBe('');
    await expect.poll(() => stored(user)).toEqual(['Without server', `${user}@example.org`]);
    // The object was in another process before: its connections are made anew.
    const other = await app.open(await newProfile(), user);
    await editField(other, 'mail', 'live@example.org');
    await expect.poll(() => valueOf(tab, 'mail')).toBe('live@example.org');
  });

  test('that vanishes while a new tab asks it a second time leaves what it said the first time', async () => {
    const user = app.newUser();
    const tab = await (await newProfile()).newPage();
    await tab.addInitScript(() => {
      const { WebSocket } = window;
      window.WebSocket = class extends WebSocket {
        constructor(url: string | URL) {
          super(url);
          this.addEventListener('open', () => (document.body.dataset['connectedTo'] = String(url)));
        }
      };
    });
    let asked = 0;
    await tab.route(`**/api/profiles/${user}`, async (route) => {
      asked += 1;
      if (asked > 1) return route.abort('connectionrefused');
      // The page hears of changes before the first answer is there.
      await tab.waitForFunction((user) => document.body.dataset['connectedTo']?.endsWith(user), `/${user}`);
      await route.continue();
    });
    await tab.goto(app.url);
    await tab.getByLabel('User', { exact: true }).selectOption(user);
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${user}`);
    await expect.poll(() => asked).toBeGreaterThan(1);

    await tab.reload();

    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${user}`);
  });

  test('the database may be away too: objects take edits, and deliver them when it is back', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);

    await app.stopDatabase();
    await editField(tab, 'name', 'Without database');
    await expect.poll(() => panel(tab, 'Pending writes')).toBe('0');
    const other = await app.open(await newProfile(), user);
    expect(await valueOf(other, 'name')).toBe('Without database');
    await app.startDatabase();

    await expect.poll(() => stored(user)).toEqual(['Without database', `${user}@example.org`]);
  });
});

describe('two people who edit the same field without knowing of each other', () => {
  test.each([
    ['newest', 'Theirs'],
    ['mine', 'Mine'],
    ['theirs', 'Theirs'],
  ])('get what was chosen: %s', async (policy, name) => {
    const { mine, theirs, user, tab } = await disagree(policy);

    await mine.setOffline(false);

    await expect.poll(() => banner(tab)).toBe('');
    await expect.poll(() => valueOf(tab, 'name')).toBe(name);
    // What only one of them has edited is kept in any case.
    expect(await valueOf(tab, 'mail')).toBe('mine@example.org');
    const conflict = `Conflict: ${user} was edited elsewhere at the same time`;
    await expect.poll(() => happened(tab)).toContainEqual(expect.stringContaining(conflict));
    const told = await happened(tab);
    expect(told.includes('The name is now “Theirs”, edited elsewhere.')).toBe(name === 'Theirs');
    await expect.poll(() => valueOf(theirs, 'name')).toBe(name);
    await expect.poll(() => valueOf(theirs, 'mail')).toBe('mine@example.org');
    await expect.poll(() => stored(user)).toEqual([name, 'mine@example.org']);
  });

  test('of whom one writes to the database itself get the later edit', async () => {
    const user = app.newUser();
    const tab = await app.open(await newProfile(), user);
    await editField(tab, 'name', 'By the page');
    await editField(tab, 'mail', 'page@example.org');

    app.database().table.edit(user, 'name', 'By a script');

    await expect.poll(() => valueOf(tab, 'name')).toBe('By a script');
    expect(await valueOf(tab, 'mail')).toBe('page@example.org');
    await expect.poll(() => stored(user)).toEqual(['By a script', 'page@example.org']);
  });
});

/** One edits name and mail without network, the other one then edits the name with it. */
async function disagree(policy: string) {
  const mine = await newProfile();
  const user = app.newUser();
  const tab = await app.open(mine, user);
  await tab.getByLabel(/^When somebody else/).selectOption(policy);
  const theirs = await app.open(await newProfile(), user);
  await mine.setOffline(true);
  await expect.poll(() => banner(tab)).not.toBe('');
  await editField(tab, 'name', 'Mine');
  await editField(tab, 'mail', 'mine@example.org');
  await editField(theirs, 'name', 'Theirs');
  await expect.poll(() => panel(theirs, 'Pending writes')).toBe('0');
  return { mine, user, tab, theirs };
}

/** Has the server refuse all edits of `profile`, and give nothing while it is down. */
const refuseEdits = (profile: BrowserContext, isDown: () => boolean = () => false): Promise<unknown> =>
  profile.route('**/api/profiles/*', (route) => {
    if (route.request().method() === 'PATCH')
      return route.fulfill({ status: 422, json: { error: { message: 'Not that name' } } });
    return isDown() ? route.fulfill({ status: 503, json: {} }) : route.continue();
  });

describe('a page that is open for longer than its profiles are fresh', () => {
  test('takes edits without network all the same', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    await profile.setOffline(true);
    await expect.poll(() => banner(tab)).toMatch(/^You are offline\./);
    await tab.evaluate(() => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + 120_000;
    });

    await editField(tab, 'name', 'Much later');

    expect(await saved(tab)).toBe('Kept in this browser, to be sent later.');
    await profile.setOffline(false);
    await expect.poll(() => stored(user)).toEqual(['Much later', `${user}@example.org`]);
  });
});

describe('the form', () => {
  test('calls saved only what the server has taken', async () => {
    const profile = await newProfile();
    const tab = await app.open(profile, app.newUser());
    let isDown = true;
    await profile.route('**/api/profiles/*', (route) =>
      isDown && route.request().method() === 'PATCH' ? route.fulfill({ status: 500 }) : route.continue(),
    );

    await editField(tab, 'name', 'Kept');
    await expect.poll(() => saved(tab)).toBe('Kept in this browser, to be sent later.');
    isDown = false;

    await expect.poll(() => saved(tab)).toBe('Saved.');
  });

  test('keeps what was typed and not saved while another user is shown', async () => {
    const profile = await newProfile();
    const [first, second] = [app.newUser(), app.newUser()];
    const tab = await app.open(profile, first);
    const choice = tab.getByLabel('User', { exact: true });
    await tab.getByLabel('Name').fill('half-typed');

    await choice.selectOption(second);
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${second}`);
    await choice.selectOption(first);

    await expect.poll(() => valueOf(tab, 'name')).toBe('half-typed');
    await expect.poll(() => valueOf(tab, 'mail')).toBe(`${first}@example.org`);
    await tab.getByLabel('Name').press('Enter');
    await expect.poll(() => stored(first)).toEqual(['half-typed', `${first}@example.org`]);
  });

  test('keeps what is being typed when an edit is refused and the server fails', async () => {
    const profile = await newProfile();
    const tab = await app.open(profile, app.newUser());
    await refuseEdits(profile, () => true);
    await editField(tab, 'name', 'Refused');
    await tab.getByLabel('E-mail').fill('half-typed');

    await expect.poll(async () => (await happened(tab)).join()).toContain('was refused');

    await expect.poll(() => tab.locator('#refused').isVisible()).toBe(true);
    expect([await tab.getByLabel('E-mail').isDisabled(), await valueOf(tab, 'mail')]).toEqual([false, 'half-typed']);
  });

  test('keeps the focus near when a refused edit is discarded', async () => {
    const profile = await newProfile();
    const tab = await app.open(profile, app.newUser());
    await refuseEdits(profile);
    await editField(tab, 'name', 'Refused');
    await tab.getByRole('button', { name: 'Discard' }).focus();
    await tab.keyboard.press('Enter');

    await expect.poll(() => tab.locator('#refused').isVisible()).toBe(false);

    await expect.poll(() => tab.evaluate(() => document.activeElement?.id)).toBe('name');
  });

  test('takes a blank at the end for no other edit', async () => {
    const user = app.newUser();
    const tab = await app.open(await newProfile(), user);

    await editField(tab, 'name', 'Ada ');

    await expect.poll(() => stored(user)).toEqual(['Ada', `${user}@example.org`]);
    await expect.poll(() => valueOf(tab, 'name')).toBe('Ada');
    expect(await tab.locator('#name-note').innerText()).toBe('');
  });

  test('recovers from a database that was away at the first visit', async () => {
    const user = app.newUser();
    await (await app.open(await newProfile(), app.newUser())).close();
    await app.stopDatabase();
    const tab = await (await newProfile()).newPage();
    await tab.goto(app.url);
    await tab.getByLabel('User', { exact: true }).selectOption(user);
    await expect.poll(() => saved(tab)).toContain('not in this browser yet');

    await app.startDatabase();

    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${user}`);
    await expect.poll(() => saved(tab)).toBe('');
  });
});

describe('connections that are ended at once', () => {
  test('are made again after pauses that grow', async () => {
    const profile = await newProfile();
    // Chance gives half of each pause and a tenth of the other half; those pauses are noted, and left out.
    await profile.addInitScript(() => {
      const pauses: number[] = [];
      const start = setTimeout.bind(window);
      const noted = [500, 1_000, 2_000, 4_000, 8_000, 15_000].map((pause) => pause * 0.55);
      Math.random = () => 0.1;
      window.setTimeout = ((run: () => void, ms: number) => {
        const isNoted = noted.some((pause) => Math.abs(pause - ms) < 1e-6);
        if (isNoted) pauses.push(Math.round(ms / 0.55));
        return start(run, isNoted ? 0 : ms);
      }) as typeof setTimeout;
      Object.assign(window, { pauses });
    });
    await profile.routeWebSocket(/\/api\/profiles\//, (socket) => void socket.close());
    const tab = await app.open(profile, app.newUser());

    await expect
      .poll(() =>
        tab.evaluate(() => {
          const { pauses } = window as unknown as { pauses: number[] };
          // Those before are of the profile that was shown first.
          return pauses.slice(pauses.lastIndexOf(500)).slice(0, 7);
        }),
      )
      .toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  });
});

describe('an edit that something else than the API answers', () => {
  test.each([
    ['a page with status 200', { status: 200, contentType: 'text/html', body: '<h1>Sign in</h1>' }],
    ['a page with status 403', { status: 403, contentType: 'text/html', body: '<h1>Blocked</h1>' }],
    ['nothing, with status 204', { status: 204 }],
  ])('is kept, and delivered when the API answers (%s)', async (_which, answer) => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    let isAway = true;
    let asked = 0;
    await profile.route('**/api/profiles/*', (route) => {
      if (!isAway || route.request().method() !== 'PATCH') return route.continue();
      asked += 1;
      return route.fulfill(answer);
    });

    await editField(tab, 'name', 'Kept');
    await expect.poll(() => asked).toBeGreaterThan(1);
    expect(await panel(tab, 'Pending writes')).toBe('1');
    isAway = false;

    await expect.poll(() => stored(user)).toEqual(['Kept', `${user}@example.org`]);
    await expect.poll(() => panel(tab, 'Pending writes')).toBe('0');
  });
});

describe('an edit that the server refuses', () => {
  test('is told and taken back, and can be tried again or discarded', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    let status = 422;
    await profile.route('**/api/profiles/*', (route) =>
      route.request().method() === 'PATCH' && status !== 0
        ? route.fulfill({ status, json: { error: { code: 'BAD_VALUE', message: 'Not that name' } } })
        : route.continue(),
    );

    await editField(tab, 'name', 'Refused');
    const again = tab.getByRole('button', { name: 'Try again' });
    await again.waitFor();
    await expect.poll(() => valueOf(tab, 'name')).toBe(`Name of ${user}`);
    expect(await happened(tab)).toContain(`The edit of ${user} was refused: Not that name.`);
    await tab.reload();
    await again.click();
    // Refused once more.
    await expect.poll(() => happened(tab)).toContain(`The edit of ${user} was refused: Not that name.`);
    await expect.poll(() => again.isEnabled()).toBe(true);
    status = 0;
    await again.click();

    await expect.poll(() => valueOf(tab, 'name')).toBe('Refused');
    await expect.poll(() => stored(user)).toEqual(['Refused', `${user}@example.org`]);
    await expect.poll(() => tab.locator('#refused').isVisible()).toBe(false);
  });
});

describe('the page, for people who do not see it or do not use a mouse', () => {
  test('names everything: the tree that screen readers get', async () => {
    const profile = await newProfile();
    const user = app.newUser();
    const tab = await app.open(profile, user);
    const before = await treeOf(tab);

    await profile.setOffline(true);
    await expect.poll(() => banner(tab)).toMatch(/^You are offline\./);
    const during = await treeOf(tab);

    expect(before).toEqual(
      expect.arrayContaining([
        'heading: Profiles',
        'status: ',
        'region: Profile',
        'combobox: User',
        'textbox: Name',
        'textbox: E-mail',
        'button: Save',
        'region: Synchronisation',
        'combobox: When somebody else has edited the same field meanwhile',
        'log: What happened',
      ]),
    );
    expect(during).toContain('status: ');
    const status = tab.getByRole('status').first();
    expect(await status.getAttribute('aria-live')).toBe('polite');
    // The element was there before it said anything, or nobody would be told.
    expect(before.filter((node) => node.startsWith('status')).length).toBe(
      during.filter((node) => node.startsWith('status')).length,
    );
  });

  test.each(['light', 'dark'] as const)('breaks no rule of axe, online and offline (%s)', async (colorScheme) => {
    const profile = await newProfile();
    const tab = await app.open(profile, app.newUser());
    await tab.emulateMedia({ colorScheme });
    expect(await violations(tab)).toEqual([]);

    await profile.setOffline(true);
    await expect.poll(() => banner(tab)).not.toBe('');
    await tab.getByLabel('E-mail').fill('nonsense');
    await tab.getByLabel('E-mail').press('Enter');

    expect(await violations(tab)).toEqual([]);
  });

  test('can be used by keyboard alone, and leads to what is wrong', async () => {
    const tab = await app.open(await newProfile(), app.newUser());
    await tab.getByLabel('User', { exact: true }).focus();

    const reached = [];
    for (let step = 0; step < 4; step += 1) {
      await tab.keyboard.press('Tab');
      reached.push(await tab.evaluate(() => document.activeElement?.id || document.activeElement?.textContent));
    }
    expect(reached).toEqual(['name', 'mail', 'Save', 'policy']);

    await tab.getByLabel('Name').fill(' ');
    await tab.getByLabel('E-mail').fill('nonsense');
    await tab.keyboard.press('Enter');
    expect(await tab.evaluate(() => document.activeElement?.id)).toBe('name');
    expect(await tab.getByLabel('Name').getAttribute('aria-invalid')).toBe('true');
    await expect.poll(() => descriptionOf(tab, 'Name')).toBe('This field is needed.');
    await tab.getByLabel('Name').fill('Somebody');
    await tab.keyboard.press('Enter');
    expect(await tab.evaluate(() => document.activeElement?.id)).toBe('mail');
    await tab.getByLabel('E-mail').fill('somebody@example.org');
    await tab.keyboard.press('Enter');

    await expect.poll(() => saved(tab)).toBe('Saved.');
    expect(await tab.getByLabel('Name').getAttribute('aria-invalid')).toBe('false');
  });
});

/** Role and name of all that screen readers get, as the browser computes them. */
async function treeOf(tab: Page): Promise<string[]> {
  const session = await tab.context().newCDPSession(tab);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  return nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => `${String(role?.value)}: ${String(name?.value ?? '')}`);
}

async function descriptionOf(tab: Page, label: string): Promise<unknown> {
  const session = await tab.context().newCDPSession(tab);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const node = nodes.find(({ role, name }) => role?.value === 'textbox' && name?.value === label);
  return node?.description?.value;
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** The rules of axe that the page breaks, and where. */
async function violations(tab: Page): Promise<string[]> {
  await tab.evaluate(await readFile(axe, 'utf8'));
  return tab.evaluate(async () => {
    interface Results {
      readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
    }
    const { axe } = window as unknown as { readonly axe: { run(): Promise<Results> } };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

describe('strangers', () => {
  const patch = (headers: Record<string, string>, body: unknown, method: 'PATCH' | 'PUT' = 'PATCH') =>
    fetch(`${app.url}/api/profiles/ada`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  test('can neither write nor connect from another page', async () => {
    const change = { name: { value: 'x', at: 1, by: 'x', base: 0 } };

    expect((await patch({ origin: 'https://evil.example' }, change)).status).toBe(403);
    expect((await patch({}, change)).status).toBe(403);
    const upgrade = await new Promise<string>((resolve) => {
      const socket = new WebSocket(`${app.url.replace('http', 'ws')}/api/profiles/ada`);
      socket.addEventListener('open', () => resolve('open'));
      socket.addEventListener('error', () => resolve('refused'));
    });
    expect(upgrade).toBe('refused');
  });

  test.each<[string, unknown]>([
    ['no object', 'x'],
    ['no field', {}],
    ['another field', { admin: { value: 'x', at: 1, by: 'x', base: 0 } }],
    ['no text', { name: { value: 5, at: 1, by: 'x', base: 0 } }],
    ['an empty text', { name: { value: ' ', at: 1, by: 'x', base: 0 } }],
    ['a long text', { name: { value: 'x'.repeat(201), at: 1, by: 'x', base: 0 } }],
    ['no address', { mail: { value: 'x', at: 1, by: 'x', base: 0 } }],
    ['no instant', { name: { value: 'x', at: 'now', by: 'x', base: 0 } }],
    ['an instant that never was', { name: { value: 'x', at: -5, by: 'x', base: 0 } }],
    ['no base', { name: { value: 'x', at: 1, by: 'x' } }],
    ['no author', { name: { value: 'x', at: 1, by: '', base: 0 } }],
  ])('that send %s are refused, and nothing is stored', async (_what, change) => {
    const before = await (await fetch(`${app.url}/api/profiles/ada`)).json();

    const response = await patch({ origin: app.url }, change);

    expect([response.status, await response.json()]).toEqual([
      422,
      { error: expect.objectContaining({ code: 'BAD_VALUE' }) },
    ]);
    expect(await (await fetch(`${app.url}/api/profiles/ada`)).json()).toEqual(before);
  });

  test('get a status that says what is wrong', async () => {
    const statuses = await Promise.all([
      patch({ origin: app.url }, { name: { value: 'x', at: 1, by: 'x', base: 0 } }, 'PUT'),
      fetch(`${app.url}/api/profiles/nobody`),
      fetch(`${app.url}/api/nothing`),
      fetch(`${app.url}/api/users`, { method: 'POST' }),
      fetch(`${app.url}/api/health`, { method: 'HEAD' }),
    ]);

    expect(statuses.map(({ status }) => status)).toEqual([405, 404, 404, 405, 204]);
  });
});
