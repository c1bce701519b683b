import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

import { expect, test } from 'vitest';

import { root, run } from './command.js';
import { ORDER } from './rooms.js';

test('every test file is in exactly one project', async () => {
  const files = globSync('test/**/*.{test,test-d}.ts', { cwd: root });
  const projects = new Map(files.map((file) => [file, [] as string[]]));

  for (const { file, projectName } of await listed()) {
    const path = relative(root, file).split(sep).join('/');
    projects.set(path, [...(projects.get(path) ?? []), projectName]);
  }

  expect(files.length).toBeGreaterThan(150);
  expect([...projects].filter(([, names]) => names.length !== 1)).toEqual([]);
});

test('every folder of tests is named after a room, or has a line in CONTRIBUTING.md', () => {
  const table = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const entries = readdirSync(join(root, 'test'), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const isHome = (folder: string): boolean => table.some((line) => line.includes(`\`test/${folder}/`));

  expect(folders.filter((folder) => !ORDER.flat().includes(folder) && !isHome(folder))).toEqual([]);
});

interface Listed {
  readonly file: string;
  readonly projectName: string;
}

/** The files of all projects, as vitest finds them. */
async function listed(): Promise<readonly Listed[]> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  return JSON.parse(await run(process.execPath, [vitest, 'list', '--filesOnly', '--json'])) as readonly Listed[];
}
