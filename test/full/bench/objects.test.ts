import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { waitPatiently } from '../../support/patience.js';

waitPatiently();

test('the bench of objects prints three ratios, and finds one load in a rush', async () => {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));

  const { stdout } = await promisify(execFile)(process.execPath, ['bench/objects.ts', '--quick'], { cwd });

  expect(stdout.match(/: \d+ % \(target ≥ \d+ %\), [\d,]+ \/ [\d,]+ requests a second$/gm)).toHaveLength(3);
  expect(stdout).toContain('10,000 reads at once of a cold key: 1 upstream calls');
});
