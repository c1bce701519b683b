import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from 'tsup';
import { afterAll, beforeAll, expect, test } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));

beforeAll(async () => {
  const entry = [join(import.meta.dirname, 'fixtures', 'conformance.ts')];
  await build({
    entry,
    outDir: directory,
    outExtension: () => ({ js: '.mjs' }),
    format: 'esm',
    config: false,
    removeNodeProtocol: false,
    silent: true,
    clean: false,
  });
});

afterAll(() => rmSync(directory, { recursive: true }));

function runUnderNodeTest(environment: NodeJS.ProcessEnv): { status: number | null; passed: number; failed: number } {
  const { status, stdout } = spawnSync(process.execPath, ['--test-reporter=tap', join(directory, 'conformance.mjs')], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  const count = (label: string): number => Number(new RegExp(`^# ${label} (\\d+)$`, 'm').exec(stdout)?.[1]);
  return { status, passed: count('pass'), failed: count('fail') };
}

test('the storage suite runs under node:test, and fails there where it should', { timeout: 30_000 }, () => {
  const sound = runUnderNodeTest({});
  const broken = runUnderNodeTest({ BROKEN: '1' });

  expect(sound).toMatchObject({ status: 0, failed: 0 });
  expect(sound.passed).toBeGreaterThan(40);
  expect(broken.status).toBe(1);
  expect(broken.failed).toBeGreaterThan(30);
});
