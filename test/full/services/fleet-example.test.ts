import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

test('the fleet of the examples behaves like one process', { timeout: 180_000 }, async () => {
  const main = fileURLToPath(new URL('../../../examples/fleet/main.ts', import.meta.url));
  // A deadline that is missed because the machine is busy would be a second load, and rightly so.
  const env = { ...process.env, FLEET_VISITORS: '200', FLEET_PATIENCE: '30000' };

  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main], { env });

  expect(stderr).toBe('');
  expect(stdout).toContain('200 visitors, 50 cold posts, 4 processes: 1 load per post, 0 failed');
  expect(stdout).toMatch(/Redis killed and started again: \d+ requests meanwhile, 0 failed/);
});
