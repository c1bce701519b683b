import { readdirSync, readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

test('every clause in the README names a test that there is', () => {
  const [, section = ''] = /\n## HTTP\n([\s\S]*?)\n## /.exec(read('README.md')) ?? [];
  const [, table = ''] = section.split('| clause | what | test |');
  const rows = table.split('\n').filter((line) => line.startsWith('|') && !line.startsWith('| ---'));
  const suites = readdirSync(new URL('test/http/suite/', root)).map((name) => `test/http/suite/${name}`);
  const source = [...suites, 'test/properties/http-cache.property.test.ts'].map(read).join('\n').replaceAll("\\'", "'");

  const names = rows.map((row) => /^(`{1,2})(.+)\1 *\|$/.exec(row.split('| ').at(-1) ?? '')?.[2]);

  expect(names.length).toBeGreaterThan(20);
  for (const name of names) expect(source).toContain(name);
});
