import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { root, run } from './command.ts';

/** The oldest release of each line in which `require()` of a module works without a flag, and the Node at hand. */
export const NODES: readonly string[] = ['20.19.0', '22.12.0', process.versions.node];

const CACHE = join(root, 'node_modules/.cache/soloflight/node');

/** The path of the executable of Node `version`: the one running, or one from the npm registry, kept for the next time. */
export async function nodeOf(version: string): Promise<string> {
  if (version === process.versions.node) return process.execPath;
  const folder = join(CACHE, version);
  const executable = join(folder, 'node_modules/node/bin/node');
  if (!existsSync(executable)) await download(version, folder);
  const actual = (await run(executable, ['--version'])).trim();
  if (actual !== `v${version}`)
    throw new Error(`${executable} is Node ${actual}, not v${version}: remove it and try again`);
  return executable;
}

async function download(version: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  try {
    await run(
      'npm',
      ['install', `node@${version}`, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'],
      folder,
    );
  } catch (cause) {
    throw new Error(`Node ${version} is missing: the npm package node@${version} could not be installed`, { cause });
  }
}
