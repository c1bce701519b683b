import { warn } from '../base/unheard.js';
import { misuse } from '../errors.js';
import type { SqliteDatabase } from './sqlite-database.js';

const LONGEST_BUSY_TIMEOUT = 2_147_483_647;

/** @throws TypeError unless `value` is a path or an open database. */
export function checkDatabase(value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  const { exec, prepare } = Object(value) as Partial<SqliteDatabase>;
  if (typeof exec !== 'function' || typeof prepare !== 'function')
    throw misuse('database', 'a path or an open node:sqlite or better-sqlite3 database', value);
}

/**
 * Warns of a path that can't be opened as it is: its directory is not there, or it is one itself. It may be mended before the
 * first use, so this is no error, and without a word it would only look like a failing tier.
 */
export function checkPath(path: string): void {
  const { process } = globalThis as { readonly process?: { getBuiltinModule?(id: string): unknown } };
  const fs = process?.getBuiltinModule?.('node:fs') as FileSystem | undefined;
  if (fs === undefined || /^(:memory:$|file:)/.test(path)) return;
  const directory = /^(.*[/\\])[^/\\]+$/.exec(path)?.[1] ?? '.';
  if (!isDirectory(fs, directory))
    warn(`SQLite can't open '${path}': the directory '${directory}' does not exist. Make it first`, 'SOLOFLIGHT_PATH');
  else if (isDirectory(fs, path))
    warn(`SQLite can't open '${path}': it is a directory. Give the path of a file`, 'SOLOFLIGHT_PATH');
}

interface FileSystem {
  statSync(path: string): { isDirectory(): boolean };
}

function isDirectory(fs: FileSystem, path: string): boolean {
  try {
    return fs.statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** @throws TypeError unless `name` is a safe identifier: a table's name can't be a bound parameter. */
export function checkTable(name: unknown): void {
  if (typeof name !== 'string' || !/^(?!sqlite_)[a-z_]\w{0,62}$/i.test(name)) {
    throw misuse(
      'table',
      "a name of 1 to 63 letters, digits and underscores that starts with neither a digit nor 'sqlite_'",
      name,
    );
  }
}

/** @throws TypeError unless `ms` is a number of milliseconds that SQLite accepts. */
export function checkBusyTimeout(ms: unknown): void {
  if (!Number.isInteger(ms) || (ms as number) < 0 || (ms as number) > LONGEST_BUSY_TIMEOUT)
    throw misuse('busyTimeout', 'an integer ≥ 0 (milliseconds)', ms);
}
