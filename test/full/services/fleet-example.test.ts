import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

test('the fleet of the examples behaves like one process', { timeout: 60_000 }, async () => {
  const main = fileURLToPath(new URL('../../../examples/fleet/main.ts', import.meta.url));

  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main]);

  expect(stderr).toBe('');
  expect(stdout).toContain('1 load per post, 0 failed');
  expect(stdout).toMatch(/Redis killed and started again: \d+ requests meanwhile, 0 failed/);
});
