import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { chromium, type BrowserContext } from 'playwright-core';

import { chromiumFlags, chromiumPath } from './chromium.js';

/** A browser of one person, with the profile that is kept in a folder. */
export interface OwnBrowser {
  readonly profile: BrowserContext;
  /** Ends all its processes as the system does that has no memory left: nothing of it runs any more. */
  kill(): Promise<void>;
}

/** Starts a browser over `folder`, which holds what an earlier one has left on the disk. */
export async function startBrowser(folder: string): Promise<OwnBrowser> {
  const args = ['--headless', '--no-sandbox', '--remote-debugging-port=0', `--user-data-dir=${folder}`];
  const child = spawn(chromiumPath(), [...args, ...chromiumFlags, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    // Its group: processes of tabs would outlive it for a moment.
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
    await exited;
  };
  try {
    const browser = await chromium.connectOverCDP(await endpointOf(createInterface(child.stderr)));
    return { profile: browser.contexts()[0]!, kill: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function endpointOf(lines: AsyncIterable<string>): Promise<string> {
  const said: string[] = [];
  for await (const line of lines) {
    const endpoint = /^DevTools listening on (ws:.*)$/.exec(line)?.[1];
    if (endpoint !== undefined) return endpoint;
    said.push(line);
  }
  throw new Error(`Chromium ended without an endpoint:\n${said.join('\n')}`);
}
