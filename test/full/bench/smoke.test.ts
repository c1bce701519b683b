import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { waitPatiently } from '../../support/patience.js';

waitPatiently();

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs the bench as `npm run bench -- …` does, on the built package. */
function bench(...args: string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, ['bench/run.ts', ...args], { cwd: root });
}

describe('the bench, on one question and two candidates', () => {
  test('prints a figure of ours beside the target, and one of the peer', async () => {
    const { stdout } = await bench('--quick', '--candidates', 'soloflight,lru-cache-fetch', 'fresh-hit');

    expect(stdout).toMatch(/^\| \*\*soloflight\*\* +\| \*\*[\d.,]+ ×\*\* \(target ≤ 0\.80\) \|/m);
    expect(stdout).toMatch(/^\| `lru-cache` `fetch` +\| [\d.,]+ × \|/m);
    expect(stdout).not.toContain('failed');
  });

  test('finds one load per flight of ours', async () => {
    const { stdout } = await bench('--quick', '--candidates', 'soloflight', 'joining');

    const [, loads] = stdout.split('Loads per flight:');
    expect(loads).toContain('| **soloflight** | **1** | **1** | **1** | **1** |');
  });
});

describe('the bench, asked for a question it does not know', () => {
  test('fails and names those it knows', async () => {
    await expect(bench('freshness')).rejects.toThrow(/Expected questions of fresh-hit.*got freshness/);
  });
});

describe('the bench of HTTP caches', () => {
  test('finds one request of ours for a crowd', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', 'bench/http.ts', '--quick'], {
      cwd: root,
    });

    expect(stdout).toMatch(/^\| soloflight `cachedFetch` \| [\d,]+ \| [\d,]+ \| 1 \|$/m);
    expect(stdout).toMatch(/^\| `undici` cache interceptor, in memory \| [\d,]+ \| [\d,]+ \| [\d,]+ \|$/m);
  });
});

describe('the bench of memory tiers', () => {
  test('draws the same traces from the same seed, and prints a time for each memory', async () => {
    const ask = async (): Promise<{ hits: string; times: string }> => {
      const args = ['bench/hit-ratio.ts', '--quick', '--seed', '1'];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
      const [, hits = '', times = ''] = stdout.split('\n\n');
      return { hits, times };
    };

    const [once, again] = [await ask(), await ask()];

    expect(once.hits).toContain('| Zipf 1.0 | 50.4 % | 58.8 % | 73.6 % | 74.8 % |');
    expect(again.hits).toBe(once.hits);
    expect(once.times.match(/^\| .* \| [\d.]+ × \| [\d.]+ × \|$/gm)).toHaveLength(4);
  });
});
