import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, onTestFinished, test } from 'vitest';

import { HANGS_AFTER, waitPatiently } from '../../support/patience.js';

waitPatiently();

const example = fileURLToPath(new URL('../../../examples/custom-storage/', import.meta.url));

async function run(parameters: readonly string[], variables: Record<string, string> = {}): Promise<string> {
  // Without this node:test takes itself for a part of the run it was started from.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { cwd: example, env: { ...env, ...variables }, timeout: HANGS_AFTER };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, parameters, options);
  expect(stderr).toBe('');
  return stdout;
}

describe('the custom storage example', () => {
  test('passes the suite for storage tiers under node:test, and leaves nothing of it out', async () => {
    const report = await run(['--test', '--test-reporter=tap']);

    expect(report).toMatch(/^# fail 0$/m);
    expect(report).toMatch(/^# skipped 0$/m);
    expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThan(25);
    for (const name of [
      'keys of any kind never collide',
      'entries are the same after reopening',
      'keeps values across restarts',
    ])
      expect(report).toContain(name);
  });

  test('finds in its second run what the first one loaded', async () => {
    const FOLDER = mkdtempSync(join(tmpdir(), 'soloflight-custom-storage-'));
    onTestFinished(() => rmSync(FOLDER, { recursive: true }));

    const [first, second] = [await run(['main.ts'], { FOLDER }), await run(['main.ts'], { FOLDER })];

    const [greeting, status] = first.split('\n');
    expect(greeting).toMatch(/^Hello, world, from process \d+$/);
    expect(status).toMatch(/^soloflight; fwd=miss; stored; ttl=\d+$/);
    expect(second.split('\n')[0]).toBe(greeting);
    expect(second.split('\n')[1]).toMatch(/^soloflight; hit; ttl=\d+; detail=files$/);
  });
});
