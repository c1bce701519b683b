import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { chromium, type BrowserServer } from 'playwright-core';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A name by which the page is not a secure context. */
export const INSECURE_HOST = 'insecure.test';

/** Beside those that playwright-core sets itself: nothing asks the network, and no name leads beyond this machine. */
export const chromiumFlags: readonly string[] = [
  ...['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-domain-reliability', '--disable-sync'],
  `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
];

/** Milliseconds after which a step of an installation hangs. */
const INSTALLED_AFTER = 300_000;

/** The browser of all tests, with a new profile that goes when it ends. */
export async function launchChromium(): Promise<BrowserServer> {
  const executablePath = chromiumPath();
  try {
    // Not as root, and not in a container, could it make a sandbox.
    return await chromium.launchServer({
      executablePath,
      args: [...chromiumFlags],
      chromiumSandbox: false,
      timeout: 120_000,
    });
  } catch (cause) {
    throw missing(`${executablePath} does not start`, cause);
  }
}

/** Where Chromium is. Installs it if need be. */
export function chromiumPath(): string {
  return findChromium() ?? installChromium();
}

function findChromium(): string | undefined {
  const named = process.env['CHROMIUM'];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw missing(`CHROMIUM is '${named}', which is not there`);
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command))).find((path) => existsSync(path));
}

/** Debian's own, where this may be done. */
function installChromium(): string {
  const apt = (...args: string[]): unknown =>
    execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: INSTALLED_AFTER,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  if (process.getuid?.() !== 0) throw missing('there is none on the PATH, and only root may install it');
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', 'chromium');
  } catch (cause) {
    throw missing('there is none on the PATH, and installing it failed', cause);
  }
  const installed = findChromium();
  if (installed === undefined) throw missing('there is none on the PATH, not even after its installation');
  return installed;
}

function missing(why: string, cause?: unknown): Error {
  return new Error(
    `The browser tests need Chromium: ${why}. Run \`apt-get install chromium\` as root, or name one in the environment variable CHROMIUM`,
    { cause },
  );
}
