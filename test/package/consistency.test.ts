import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { root } from './command.js';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const page = read('docs/consistency.md');

test('every test file that docs/consistency.md names is there', () => {
  const files = [...page.matchAll(/`(test\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);

  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('every rule in docs/consistency.md names a test that there is', () => {
  const [, table = ''] = page.split('### Rule by rule');
  const rows = [...table.matchAll(/^\| .+ \| `(test\/[\w./-]+)`: `([^`]+)` \|$/gm)];
  const missing = rows.filter(([, path, name]) => !read(path!).replaceAll("\\'", "'").includes(name!));

  expect(rows.length).toBeGreaterThan(20);
  expect(missing.map(([row]) => row)).toEqual([]);
});
