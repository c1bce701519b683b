import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { FAULTS } from './faults.js';

interface Report {
  readonly diagnostics: readonly {
    readonly filename: string;
    readonly code: string;
    readonly labels: readonly { readonly span: { readonly line: number } }[];
  }[];
}

const root = join(import.meta.dirname, '../..');
let folder: string;
/** The rules broken, by `file:line`. */
let found: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soloflight-layers-'));
  await cp(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  await writeFile(
    join(folder, 'tsconfig.json'),
    '{ "compilerOptions": { "strict": true, "module": "nodenext", "lib": ["es2023", "dom"], "types": [] } }',
  );
  for (const [file, { refused, allowed }] of Object.entries(FAULTS)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), [...refused.map(([line]) => line), ...allowed, ''].join('\n'));
  }
  found = await lint(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(Object.entries(FAULTS))('the linter, shown %s', (file, { refused, allowed }) => {
  test.each(refused.map(([line, rule], at) => [line, rule, at + 1] as const))('refuses: %s (%s)', (_line, rule, at) => {
    expect(found.get(`${file}:${at}`)).toContain(rule);
  });

  test.each(allowed.map((line, at) => [line, refused.length + at + 1] as const))('allows: %s', (_line, at) => {
    // The samples together do form cycles.
    const rules = (found.get(`${file}:${at}`) ?? []).filter((rule) => rule !== 'import(no-cycle)');

    expect(rules).toEqual([]);
  });
});

async function lint(cwd: string): Promise<Map<string, string[]>> {
  const oxlint = join(root, 'node_modules/oxlint/bin/oxlint');
  const env = { ...process.env, OXLINT_TSGOLINT_PATH: join(root, 'node_modules/.bin/tsgolint') };
  const output = await new Promise<string>((resolve) => {
    // It fails, as it must; what it says is the result.
    execFile(
      process.execPath,
      [oxlint, '--type-aware', '--format=json'],
      { cwd, env, maxBuffer: 1e8 },
      (_error, stdout) => resolve(stdout),
    );
  });
  const places = new Map<string, string[]>();
  for (const { filename, code, labels } of (JSON.parse(output) as Report).diagnostics) {
    const place = `${filename}:${labels[0]?.span.line}`;
    places.set(place, [...(places.get(place) ?? []), code]);
  }
  return places;
}
