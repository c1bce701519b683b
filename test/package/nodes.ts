import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { root, run } from './command.ts';

// The one place that knows the versions of runtimes. `engines` in package.json is checked against the lowest.

/** The lowest Node that is supported, in which the unit tests run too. */
export const LOWEST_NODE = '22.13.0';

/** The highest Node that is supported, in which the unit tests run too. */
export const HIGHEST_NODE = '26.10.0';

/** The Nodes that the package is checked on: the lowest, the one that runs this, the highest. */
export const NODES: readonly string[] = [...new Set([LOWEST_NODE, process.versions.node, HIGHEST_NODE])];

/** The other runtimes that the package is checked on, and how each runs a file. */
export const OTHERS = {
  Bun: { name: 'bun', version: '1.4.5', executable: 'node_modules/bun/bin/bun.exe', args: [] },
  Deno: {
    name: 'deno',
    version: '2.9.6',
    executable: 'node_modules/deno/bin.cjs',
    args: ['run', '--allow-read', '--allow-env', '--no-remote', '--no-lock', '--node-modules-dir=manual'],
  },
} as const;

interface Runtime {
  /** Its package in the npm registry. */
  readonly name: string;
  readonly version: string;
  /** The path inside a folder that the package is installed in. */
  readonly executable: string;
}

/** The path of the executable of Node `version`: the one running, or one from the npm registry, kept for the next time. */
export async function nodeOf(version: string): Promise<string> {
  if (version === process.versions.node) return process.execPath;
  return executableOf({ name: 'node', version, executable: 'node_modules/node/bin/node' });
}

/** The path of the executable of a runtime from the npm registry, kept for the next time. */
export async function executableOf({ name, version, executable }: Runtime): Promise<string> {
  const folder = join(root, 'node_modules/.cache/soloflight', name, version);
  const path = join(folder, executable);
  if (!existsSync(path)) await download(name, version, folder);
  const printed = await run(path, ['--version']);
  const actual = /\d+\.\d+\.\d+/.exec(printed)?.[0];
  if (actual !== version) throw new Error(`${path} is ${name} ${actual}, not ${version}: remove it and try again`);
  return path;
}

async function download(name: string, version: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  // The script of each of these puts the binary, which is in a package for the platform, where it is expected.
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { [name]: true } }));
  try {
    const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    await run('npm', ['install', `${name}@${version}`, ...flags], folder);
  } catch (cause) {
    throw new Error(`${name} ${version} is missing: the npm package ${name}@${version} could not be installed`, {
      cause,
    });
  }
}
