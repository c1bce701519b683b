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

describe('a program that comes to its end', () => {
  test.each<[string, unknown[]]>([
    ['batch', [1]],
    ['batch tried again', [1]],
    ['writes in memory', [1]],
    ['writes in a queue in memory, of a sink that fails', [1]],
    ['a write that dies', ['dead']],
    ['writes that wait for room', [1]],
    ['a queue that another one owns', ['accepted']],
    ['writes in a queue that outlives it', []],
    ['writes closed without being delivered', []],
  ])('exits with code 0 when nothing is left that would be lost: %s', async (scenario, delivered) => {
    // Rejects for any other code, and for 13: the top-level `await` was never over.
    const { stdout, stderr } = await run('pending-writes', scenario);

    expect(JSON.parse(stdout)).toEqual(delivered);
    expect(stderr).toBe('');
  });
});
