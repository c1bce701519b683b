// Runs the unit tests in other Nodes: `npm run test:node [-- <version> [parts of file names] [--options of vitest]]`.
// `lowest` and `highest` stand for those that are supported, and both run where none is named.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, dirname, join, relative, sep } from 'node:path';

import { root, run } from './command.ts';
import { HIGHEST_NODE, LOWEST_NODE, nodeOf } from './nodes.ts';

/** What a Node must be able to do for the tests in a part of the unit project, as an expression. */
const NEEDS = [
  { what: 'TypeScript', test: 'Boolean(process.features.typescript)', of: /^test\/(bench|examples)\// },
  { what: 'the Node-API of better-sqlite3', test: 'Number(process.versions.napi) >= 10', of: /better-sqlite3/ },
];

const VITEST = join(root, 'node_modules/vitest/vitest.mjs');
const ALIASES = new Map([
  ['lowest', LOWEST_NODE],
  ['highest', HIGHEST_NODE],
]);

const [wanted, ...rest] = process.argv.slice(2);
const versions = wanted === undefined ? [LOWEST_NODE, HIGHEST_NODE] : [ALIASES.get(wanted) ?? wanted];
for (const version of versions) {
  const code = await runUnit(version, rest);
  if (code !== 0) process.exitCode = code;
}

/** Runs the unit tests in Node `version`, all but those that it can't run, and resolves to the exit code. */
async function runUnit(version: string, args: readonly string[]): Promise<number> {
  const node = await nodeOf(version);
  const filters = args.filter((arg) => !arg.startsWith('-'));
  const options = args.filter((arg) => arg.startsWith('-'));
  const unit = await unitFiles();
  const files = unit.filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
  const lacking: typeof NEEDS = [];
  for (const need of NEEDS) if ((await run(node, ['--print', need.test])).trim() !== 'true') lacking.push(need);
  const left = files.filter((file) => !lacking.some(({ of }) => of.test(file)));

  console.log(`\nThe unit tests in Node ${version}: ${left.length} files of ${files.length}`);
  for (const { what, of } of lacking) {
    const count = files.filter((file) => of.test(file)).length;
    if (count > 0) console.log(`  ${count} need ${what}, which Node ${version} lacks`);
  }
  // Without names of files vitest would run all.
  if (left.length === 0) return 1;
  // What starts processes finds the same Node on the path.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` };
  const child = spawn(node, [VITEST, 'run', '--project', 'unit', ...left, ...options], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** The files of the unit project, as vitest finds them. */
async function unitFiles(): Promise<string[]> {
  const listed = await run(process.execPath, [VITEST, 'list', '--project', 'unit', '--filesOnly', '--json']);
  const found = JSON.parse(listed) as readonly { readonly file: string }[];
  return found.map(({ file }) => relative(root, file).split(sep).join('/'));
}
