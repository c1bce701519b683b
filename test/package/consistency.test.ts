import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { root } from './command.js';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe.each(['docs/consistency.md', 'docs/time-and-values.md'])('%s', (path) => {
  const page = read(path);

  test('names only test files that are there', () => {
    const files = [...page.matchAll(/`(test\/[\w./-]+\.ts)`/g)].map(([, file]) => file!);

    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('names for every rule a test that there is', () => {
    const [, table = ''] = page.split('### Rule by rule');
    const lines = table
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2);
    const rows = lines.map((line) => /^\| .+ \| `(test\/[\w./-]+)`: `(.+)` \|$/.exec(line));
    const isThere = (row: RegExpExecArray | null): boolean =>
      row !== null && read(row[1]!).replaceAll("\\'", "'").includes(row[2]!);

    expect(rows.length).toBeGreaterThan(20);
    expect(lines.filter((_line, index) => !isThere(rows[index]!))).toEqual([]);
  });
});
