import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { newProfile, openTab } from '../../browser/support/tabs.js';
import { freePort } from '../../support/ports.js';

/** Watches `url` in `tab`; `states` there grows with each change. */
async function watch(tab: Page, probe: string | null): Promise<void> {
  await tab.evaluate((probe) => {
    const backoff = { initial: 20, max: 50 };
    const connection = window.soloflight.connectivity(probe === null ? { backoff } : { probe, backoff });
    const states: string[] = [connection.state];
    connection.on((state) => states.push(state));
    Object.assign(window, { connection, states });
  }, probe);
}

function states(tab: Page): Promise<string[]> {
  return tab.evaluate(() => (window as unknown as { states: string[] }).states);
}

function reach(tab: Page, state: string): Promise<unknown> {
  return tab.waitForFunction((state) => (window as unknown as { states: string[] }).states.at(-1) === state, state);
}

describe('a tab', () => {
  test.each([null, '/health'])('that loses its network and gets it back says so (probe: %s)', async (probe) => {
    const tab = await openTab();
    await watch(tab, probe);

    await tab.context().setOffline(true);
    await reach(tab, 'offline');
    await tab.context().setOffline(false);
    await reach(tab, 'online');

    expect(await states(tab)).toEqual(['online', 'offline', 'online']);
  });

  test('that is opened without a network says so', async () => {
    const tab = await openTab();
    await tab.context().setOffline(true);

    await watch(tab, '/health');

    expect(await states(tab)).toEqual(['offline']);
  });

  test('whose server is killed says that it is unreachable, until it is back', async () => {
    const answer = createServer((_request, response) => response.setHeader('access-control-allow-origin', '*').end());
    const listen = (port: number) => new Promise<void>((resolve) => answer.listen(port, '127.0.0.1', resolve));
    const port = await freePort();
    await listen(port);
    const url = `http://127.0.0.1:${port}/`;
    const tab = await openTab();
    await watch(tab, url);
    const request = (): Promise<number> =>
      tab.evaluate(async (url) => {
        const { connection } = window as unknown as { connection: ReturnType<typeof window.soloflight.connectivity> };
        return (await connection.fetch(url)).status;
      }, url);
    expect(await request()).toBe(200);

    answer.closeAllConnections();
    await new Promise((resolve) => answer.close(resolve));
    await expect(request()).rejects.toThrow('Failed to fetch');
    await reach(tab, 'unreachable');
    await listen(port);
    await reach(tab, 'online');
    answer.closeAllConnections();
    answer.close();

    expect(await states(tab)).toEqual(['online', 'unreachable', 'online']);
  });
});

/** A server that can be away. */
async function startAway() {
  let isAway = true;
  let probes = 0;
  const server = createServer((request, response) => {
    probes += 1;
    if (isAway) request.socket.destroy();
    else response.setHeader('access-control-allow-origin', '*').end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    probes: () => probes,
    comeBack: () => (isAway = false),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Watches `url`, with pauses of about `pause`, from a failed request on. */
async function lose(tab: Page, url: string, pause: number): Promise<void> {
  await tab.evaluate(
    async ([url, pause]) => {
      const connection = window.soloflight.connectivity({ probe: url, backoff: { initial: pause, max: pause } });
      const states: string[] = [];
      connection.on((state) => states.push(state));
      Object.assign(window, { connection, states });
      await connection.fetch(url).catch(() => {});
    },
    [url, pause] as const,
  );
  await reach(tab, 'unreachable');
}

describe('a server that comes back without an event', () => {
  test('is found at once by a page that is looked at again, and all its tabs hear of it', async () => {
    const server = await startAway();
    const profile = await newProfile();
    const tabs = [await openTab(profile), await openTab(profile)] as const;
    for (const tab of tabs) await lose(tab, server.url, 600_000);

    server.comeBack();
    await tabs[0].evaluate(() => window.dispatchEvent(new Event('focus')));

    for (const tab of tabs) await reach(tab, 'online');
    expect(await states(tabs[1])).toEqual(['unreachable', 'online']);
    server.stop();
  });

  test('is probed by one of five tabs for all', async () => {
    const server = await startAway();
    const profile = await newProfile();
    const tabs = await Promise.all(Array.from({ length: 5 }, () => openTab(profile)));
    for (const tab of tabs) await lose(tab, server.url, 1_000);
    const before = server.probes();
    const since = performance.now();

    await expect.poll(() => server.probes() - before).toBeGreaterThanOrEqual(8);
    const took = performance.now() - since;
    server.comeBack();

    for (const tab of tabs) await reach(tab, 'online');
    // One makes 8 probes in 4 to 8 seconds, or in less if others are early now and then; five by themselves in one or two.
    expect(took).toBeGreaterThan(2_500);
    server.stop();
  });
});
