import { execFile } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** A fenced piece of TypeScript that readers copy. */
interface Example {
  /** Where it starts, as `file:line`. */
  readonly place: string;
  readonly code: string;
  /** What its `console.log` calls say that they print, in a comment behind each. */
  readonly promised: readonly string[];
}

const root = join(import.meta.dirname, '../..');
const readme = existsSync(join(root, 'README.md')) ? examplesIn('README.md') : [];
const documented = globSync('src/**/*.ts', { cwd: root }).toSorted().flatMap(examplesIn);
const examples = [...readme, ...documented];
const folder = mkdtempSync(join(tmpdir(), 'soloflight-examples-'));

beforeAll(() => {
  if (!existsSync(join(root, 'dist/index.d.ts')))
    throw new Error('Examples are checked against the build: `npm run build` first');
  // The built package under its own name, as if installed, beside the test runner that some examples use.
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/soloflight'));
  for (const name of ['vitest', 'redis', '@cloudflare'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  examples.forEach(({ code }, at) => writeFileSync(fileOf(at), code));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the examples in the README and in doc comments', () => {
  test('are there', () => {
    expect(readme.length).toBeGreaterThanOrEqual(3);
    expect(documented.length).toBeGreaterThanOrEqual(3);
  });

  // Those for Workers have the globals of Workers, all others those of Node.
  test.each([
    ['on Node', 'node', (code: string) => !isForWorkers(code)],
    ['in a Worker', '@cloudflare/workers-types', isForWorkers],
  ])('compile as they stand, against the built package, %s', (_where, types, belongs) => {
    const options: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      types: [types],
      typeRoots: [join(root, 'node_modules/@types'), join(root, 'node_modules')],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      skipLibCheck: true,
    };

    const program = ts.createProgram(
      examples.flatMap(({ code }, at) => (belongs(code) ? fileOf(at) : [])),
      options,
    );

    const complaints = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
      const at = examples.findIndex((_example, index) => file?.fileName === fileOf(index));
      const line = file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0;
      return `${examples[at]?.place ?? file?.fileName}, line ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
    expect(complaints).toEqual([]);
  });

  test.each(examples.map((example, at) => ({ ...example, at })).filter(({ promised }) => promised.length > 0))(
    'print what they say ($place)',
    async ({ at, promised }) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', fileOf(at)],
        { cwd: folder },
      );

      expect(stdout.trim().split('\n')).toEqual(promised);
    },
  );
});

function isForWorkers(code: string): boolean {
  return code.includes("'soloflight/cloudflare'");
}

function fileOf(at: number): string {
  return join(folder, `example-${at}.ts`);
}

function examplesIn(path: string): Example[] {
  const text = readFileSync(join(root, path), 'utf8');
  return [...text.matchAll(/^( \* |)```ts\n(.*?)^\1```$/gms)].map((fence) => {
    const [, margin = '', body = ''] = fence;
    const lines = body
      .split('\n')
      .map((line) => line.slice(line.startsWith(margin) ? margin.length : margin.trimEnd().length));
    return {
      place: `${path}:${text.slice(0, fence.index).split('\n').length + 1}`,
      // What declares nothing to the outside is still a module of its own.
      code: `${lines.join('\n')}\nexport {};\n`,
      promised: lines.flatMap((line) => /console\.log\(.*\); \/\/ (.*)$/.exec(line)?.[1] ?? []),
    };
  });
}
