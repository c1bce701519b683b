import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const VERSION = '13.2.0';
const folder = fileURLToPath(new URL(`../../node_modules/.cache/better-sqlite3-${VERSION}/`, import.meta.url));

/** Where the tests find better-sqlite3. */
export const betterSqlite3 = `${folder}node_modules/better-sqlite3/lib/index.js`;

/**
 * Installs better-sqlite3 once, before any test runs, without its install script.
 *
 * As a dependency it would be compiled at `npm ci`, which needs a compiler and Node's headers; it ships prebuilt.
 */
export function setup(): void {
  if (existsSync(betterSqlite3)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}package.json`, '{ "private": true }');
  try {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['install', ...flags, `better-sqlite3@${VERSION}`], { cwd: folder, stdio: 'pipe' });
  } catch (cause) {
    throw new Error(`The tests need better-sqlite3 ${VERSION} from the npm registry, which could not be installed`, {
      cause,
    });
  }
}
