import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { openTab } from '../../browser/support/tabs.js';

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
    await listen(0);
    const { port } = answer.address() as AddressInfo;
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
