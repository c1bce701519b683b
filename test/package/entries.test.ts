import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import ts from 'typescript';
import { describe, expect, test } from 'vitest';

import tsup from '../../tsup.config.js';
import { root } from './command.js';
import { ENTRIES, entriesOf, IMPORTS, NAMES } from './entries.js';

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, unknown>>>>;
  readonly 'size-limit': readonly { readonly name: string; readonly path: string | readonly string[] }[];
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const specifiers = [...new Set(ENTRIES.map(({ specifier }) => specifier))];
const names = ENTRIES.map(({ name }) => name);

describe('the entry points of package.json', () => {
  test('have declarations beside their code', () => {
    const pairs = Object.values(manifest.exports).filter((target) => typeof target !== 'string');

    expect(pairs.length).toBeGreaterThan(10);
    expect(pairs.filter((target) => !hasDeclarations(target))).toEqual([]);
  });

  test('are those that tsup builds', () => {
    expect(tsup).toMatchObject({ entry: Object.fromEntries(ENTRIES.map(({ name, source }) => [name, source])) });
  });

  test('are, to tsc, the source that they are built from', () => {
    const plain = ENTRIES.filter(({ condition }) => condition === undefined);

    expect(plain.map(({ specifier }) => [specifier, resolved(specifier)])).toEqual(
      plain.map(({ specifier, source }) => [specifier, source]),
    );
  });

  test('each have names that the package check looks for', () => {
    expect(Object.keys(NAMES).toSorted()).toEqual(specifiers.toSorted());
    expect(Object.entries(NAMES).filter(([, listed]) => listed.length === 0)).toEqual([]);
  });

  test('are all that the lists of imports and sizes speak of', () => {
    const sized = manifest['size-limit']
      .flatMap(({ path }) => path)
      .map((path) => /^dist\/(.+)\.js$/.exec(path)?.[1] ?? path);

    expect(Object.keys(IMPORTS).filter((name) => !names.includes(name))).toEqual([]);
    expect(sized.filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('the list of entry points', () => {
  test('says where it looked for a source that is missing', () => {
    expect(() => entriesOf({ './nowhere': { default: './dist/nowhere.js' } })).toThrow(
      'soloflight/nowhere has no source: there is none of src/nowhere.ts, src/nowhere/index.ts, src/storage/nowhere.ts',
    );
  });

  test('has the file of each condition', () => {
    const workerd = { types: './dist/browser.d.ts', default: './dist/browser.js' };

    const entries = entriesOf({ './http': { workerd, types: './dist/http.d.ts', default: './dist/http.js' } });

    expect(entries).toEqual([
      { name: 'browser', specifier: 'soloflight/http', source: 'src/browser/index.ts', condition: 'workerd' },
      { name: 'http', specifier: 'soloflight/http', source: 'src/http/index.ts', condition: undefined },
    ]);
  });
});

/** Whether `target` names declarations beside its code, under each condition. */
function hasDeclarations(target: unknown): boolean {
  if (typeof target !== 'object' || target === null) return true;
  const { types, default: code, ...conditions } = target as Readonly<Record<string, unknown>>;
  return String(code).replace(/\.js$/, '.d.ts') === types && Object.values(conditions).every(hasDeclarations);
}

/** The file that tsc takes `specifier` to mean in this folder. */
function resolved(specifier: string): string | undefined {
  const path = join(root, 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path, (file) => ts.sys.readFile(file)).config,
    ts.sys,
    root,
  );
  const { resolvedModule } = ts.resolveModuleName(
    specifier,
    join(root, 'test/package/entries.test.ts'),
    options,
    ts.sys,
  );
  return resolvedModule && relative(root, resolvedModule.resolvedFileName);
}
