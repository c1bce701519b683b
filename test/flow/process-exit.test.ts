import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));

// Bundled from the source as it is now, since not every supported Node runs TypeScript.
beforeAll(async () => {
  await build({
    entryPoints: ['pending-flights', 'pending-writes'].map((name) => join(import.meta.dirname, `fixtures/${name}.ts`)),
    bundle: true,
    platform: 'node',
    format: 'esm',
    outdir: directory,
    outExtension: { '.js': '.mjs' },
  });
});

afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a fixture until it ends by itself. */
function run(fixture: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [join(directory, `${fixture}.mjs`), ...args], { timeout: 20_000 });
}

describe('a process with flights pending', () => {
  // Of 40 days: one timer can't take it, and what follows it must not hold the process either.
  test.each(['10m', '40d', 'Infinity'])('exits by itself, without an error (maxDuration %s)', async (maxDuration) => {
    const { stdout, stderr } = await run('pending-flights', maxDuration);

    expect(JSON.parse(stdout)).toMatchObject({ inFlightCount: 20, totalSubscribers: 200, succeeded: 1 });
    expect(stderr).toBe('');
  });
});

test('a process with writes pending, one being delivered and one waiting for room, exits by itself', async () => {
  const { stdout, stderr } = await run('pending-writes');

  expect(JSON.parse(stdout)).toMatchObject({ pending: 2, inFlight: 1, waiting: 1 });
  expect(stderr).toBe('');
});
