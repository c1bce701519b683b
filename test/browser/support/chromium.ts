import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { chromium, type BrowserServer } from 'playwright-core';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Beside those that playwright-core sets itself: nothing that asks the network for anything but the page. */
const FLAGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const MORE_FLAGS = ['--disable-component-update', '--disable-sync'];

/** A name by which the page is not a secure context. */
export const INSECURE_HOST = 'insecure.test';

/** The browser of all tests, with a new profile that goes when it ends. */
export async function launchChromium(): Promise<BrowserServer> {
  const executablePath = findChromium() ?? installChromium();
  // Not as root, and not in a container, could it make a sandbox.
  return chromium.launchServer({
    executablePath,
    args: [...FLAGS, ...MORE_FLAGS, `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`],
    chromiumSandbox: false,
  });
}

function findChromium(): string | undefined {
  const named = process.env['CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command))).find((path) => existsSync(path));
}

/** Debian's own, where this may be done. */
function installChromium(): string {
  const apt = (...args: string[]): unknown =>
    execFileSync('apt-get', ['-qq', ...args], {
      stdio: 'pipe',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  try {
    if (process.getuid?.() !== 0) throw new Error('only root may install it');
    apt('update');
    apt('install', '--yes', '--no-install-recommends', 'chromium');
  } catch (cause) {
    throw missing(cause);
  }
  return findChromium() ?? fail(missing());
}

function missing(cause?: unknown): Error {
  return new Error(
    'The browser tests need Chromium: `apt-get install chromium`, or name one in the environment variable CHROMIUM',
    { cause },
  );
}

function fail(error: Error): never {
  throw error;
}
