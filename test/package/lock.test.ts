import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { root } from './command.js';

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly gypfile?: boolean;
}

const read = (file: string): unknown => JSON.parse(readFileSync(join(root, file), 'utf8'));
const { packages } = read('package-lock.json') as { readonly packages: Readonly<Record<string, Locked>> };
const { allowScripts } = read('package.json') as { readonly allowScripts: Readonly<Record<string, boolean>> };
const installed = Object.entries(packages).filter(([path]) => path !== '' && existsSync(join(root, path)));

test('npm ci runs only install scripts that package.json allows', () => {
  const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript);
  const names = scripted.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));

  expect(names.filter((name) => allowScripts[name] !== true)).toEqual([]);
});

// npm takes a `binding.gyp` for a wish to be compiled, and reads only here that there is none. It leaves the line out of
// each lock file that it writes: put `"gypfile": false` back into the entry.
test('npm ci compiles nothing', () => {
  const wouldCompile = installed.filter(
    ([path, { gypfile }]) => gypfile !== false && existsSync(join(root, path, 'binding.gyp')),
  );

  expect(wouldCompile.map(([path]) => path)).toEqual([]);
});
