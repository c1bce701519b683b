import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import ts from 'typescript';

import { attempt, root, run, tool } from './command.ts';
import {
  createConsumer,
  importIn,
  installTypeScript,
  loadInWorker,
  requireIn,
  typecheck,
  TYPESCRIPTS,
  TYPINGS,
} from './consumer.ts';
import { ENTRIES, IMPORTS } from './entries.ts';
import { executableOf, LOWEST_NODE, nodeOf, NODES, OTHERS } from './nodes.ts';

/** The entries of the build. */
const BUILT = ENTRIES.map(({ name }) => name);

/** What the tarball may hold. Code and declarations that entries share are in files of their own. */
const FILES = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  new RegExp(String.raw`^dist/(${BUILT.join('|')})(\.d\.ts|\.js)$`),
  /^dist\/[a-z-]+-[\w-]{8}\.d\.ts$/,
  /^dist\/chunk-[A-Z0-9]{8}\.js$/,
  /^docs\/(alerts\.md|observe\/(alerts\.yml|grafana\.json))$/,
];
/** Exports that are no modules. */
const DATA = ['observe/alerts.yml', 'observe/grafana.json'];
const NEEDED = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  ...BUILT.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
];

interface Limit {
  readonly name: string;
  readonly passed: boolean;
  readonly size: number;
  readonly sizeLimit: number;
}

let passed = 0;
let failed = 0;

/** Runs one check and prints its result as a line. A failure is followed by its reason. */
async function check(name: string, verify: () => Promise<string> | string): Promise<void> {
  try {
    console.log(`ok    ${name}: ${await verify()}`);
    passed += 1;
  } catch (error) {
    console.log(`FAIL  ${name}: ${messageOf(error)}`);
    failed += 1;
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n${messageOf(error.cause)}`;
}

const folder = await mkdtemp(join(tmpdir(), 'soloflight-package-'));
try {
  await checkAll(folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`${passed} checks passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function checkAll(folder: string): Promise<void> {
  const packed = await pack(folder);
  const tarball = join(folder, packed.filename);
  const consumer = join(folder, 'consumer');

  await check('engines', verifyEngines);
  await check('files', () => verifyFiles(packed));
  for (const name of BUILT) await check(`imports of ${name}`, () => verifyImports(name));
  await check('publint', async () => lastLine(await run(tool('publint'), ['run', tarball, '--strict'])));
  await check('are the types wrong', () => verifyTypes(tarball));
  await checkSizes();
  await check('install', () => createConsumer(consumer, tarball));
  for (const version of NODES) {
    await check(`import on Node ${version}`, async () => importIn(consumer, await nodeOf(version)));
    await check(`require on Node ${version}`, async () => requireIn(consumer, await nodeOf(version)));
  }
  for (const [name, runtime] of Object.entries(OTHERS)) {
    const way = `import on ${name} ${runtime.version}`;
    await check(way, async () => importIn(consumer, await executableOf(runtime), runtime.args));
  }
  await check('import in workerd', () => loadInWorker(consumer));
  for (const typing of Object.keys(TYPINGS) as (keyof typeof TYPINGS)[]) {
    await check(`types, ${typing}`, () => typecheck(consumer, typing));
  }
  for (const version of TYPESCRIPTS) {
    let compiler = '';
    await check(`TypeScript ${version}`, async () => (compiler = await installTypeScript(folder, version)));
    for (const typing of Object.keys(TYPINGS) as (keyof typeof TYPINGS)[]) {
      await check(`types on TypeScript ${version}, ${typing}`, () => typecheck(consumer, typing, compiler));
    }
  }
}

async function pack(folder: string): Promise<Packed> {
  const [packed] = JSON.parse(
    await run('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', folder]),
  ) as Packed[];
  if (packed === undefined) throw new Error('npm pack made nothing');
  return packed;
}

async function verifyEngines(): Promise<string> {
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { engines: { node: string } };
  if (`${engines.node}.0` !== `>=${LOWEST_NODE}`)
    throw new Error(`package.json says Node ${engines.node}, and the lowest that is tested is ${LOWEST_NODE}`);
  return `Node ${engines.node}`;
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

function verifyFiles({ files, size }: Packed): string {
  const paths = files.map(({ path }) => path);
  const unexpected = paths.filter((path) => !FILES.some((pattern) => pattern.test(path)));
  if (unexpected.length > 0) throw new Error(`${unexpected.join(', ')} should not be in the tarball`);
  const missing = NEEDED.filter((path) => !paths.includes(path));
  if (missing.length > 0) throw new Error(`${missing.join(', ')} should be in the tarball`);
  return `${paths.length}, ${kilobytes(size)} packed`;
}

async function verifyImports(name: string): Promise<string> {
  const found = [...(await importsOf(`${name}.js`))].toSorted();
  const expected = IMPORTS[name] ?? [];
  const describe = (specifiers: readonly string[]): string => specifiers.join(', ') || 'none';
  if (describe(found) !== describe(expected))
    throw new Error(`expected ${describe(expected)}, found ${describe(found)}`);
  return describe(found);
}

/** What `file` of the build imports from outside, itself or in the chunks that it needs. */
async function importsOf(file: string, visited = new Set<string>()): Promise<Set<string>> {
  const found = new Set<string>();
  if (visited.has(file)) return found;
  visited.add(file);
  const code = await readFile(join(root, 'dist', file), 'utf8');
  for (const { fileName } of ts.preProcessFile(code, true, true).importedFiles) {
    const inner = fileName.startsWith('./') ? await importsOf(fileName.slice(2), visited) : [fileName];
    for (const specifier of inner) found.add(specifier);
  }
  return found;
}

async function verifyTypes(tarball: string): Promise<string> {
  await run(tool('attw'), [tarball, '--profile', 'esm-only', '--exclude-entrypoints', ...DATA]);
  return 'no';
}

async function checkSizes(): Promise<void> {
  const { stdout, stderr } = await attempt(tool('size-limit'), ['--json']);
  if (!stdout.startsWith('[')) return check('sizes', () => Promise.reject(new Error(stdout + stderr)));
  for (const limit of JSON.parse(stdout) as Limit[]) await check(`size of ${limit.name}`, () => verifySize(limit));
}

function verifySize({ passed: within, size, sizeLimit }: Limit): string {
  const comparison = `${kilobytes(size)} of ${kilobytes(sizeLimit)}, minified and gzipped, without lru-cache`;
  if (!within) throw new Error(comparison);
  return comparison;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(2)} kB`;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
