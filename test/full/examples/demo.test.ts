import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { chart } from '../../../examples/demo/chart.js';
import { createDatabase } from '../../../examples/demo/database.js';
import { measure } from '../../../examples/demo/measurement.js';
import type { Measurement } from '../../../examples/demo/measurement.js';
import { run } from '../../../examples/demo/run.js';
import { databaseDown, viralPost } from '../../../examples/demo/scenarios.js';
import { table } from '../../../examples/demo/table.js';
import type { Way } from '../../../examples/demo/ways.js';

const WAYS: readonly Way[] = ['no protection', 'cache only', 'soloflight'];
const folder = mkdtempSync(join(tmpdir(), 'soloflight-demo-test-'));
const database = join(folder, 'posts.db');

beforeAll(() => {
  createDatabase(database, 100);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

// Real processes, sockets and seconds: counts are asserted, times are not.
describe('the demo, shortened', { timeout: 60_000 }, () => {
  test('a viral post costs soloflight one query, and the other ways more', async () => {
    const scenario = { ...viralPost, requests: 500, over: 100 };

    const [unprotected, cached, ours] = (await run(scenario, { database, ways: WAYS })) as [
      Measurement,
      Measurement,
      Measurement,
    ];

    expect(ours).toMatchObject({ way: 'soloflight', requests: 500, queries: 1, failed: 0 });
    expect(scenario.kept(ours)).toBe(true);
    expect(cached.queries).toBeGreaterThan(1);
    expect(unprotected.queries).toBeGreaterThan(1);
    expect(scenario.kept(unprotected)).toBe(false);
  });

  test('while the database is down, soloflight fails no request for a post it has shown before', async () => {
    const scenario = { ...databaseDown, requests: 600, over: 2_400, ttl: 200, outage: { from: 1_000, to: 1_800 } };

    const [unprotected, cached, ours] = (await run(scenario, { database, ways: WAYS })) as [
      Measurement,
      Measurement,
      Measurement,
    ];

    expect(ours).toMatchObject({ way: 'soloflight', requests: 600, failed: 0 });
    expect(cached.failed).toBeGreaterThan(0);
    expect(unprotected.failed).toBeGreaterThan(0);
    expect(scenario.kept(unprotected)).toBe(false);
  });

  test('ends its processes when it is interrupted', async () => {
    const interruption = new AbortController();
    let resources: string[] = [];
    const onProgress = (): void => {
      resources = process.getActiveResourcesInfo();
      interruption.abort();
    };

    const running = run(viralPost, { database, ways: ['soloflight'], onProgress, signal: interruption.signal });

    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(resources).toContain('ProcessWrap');
    await expect.poll(() => process.getActiveResourcesInfo()).not.toContain('ProcessWrap');
  });
});

describe('the figures of the demo', () => {
  const load = { latencies: [40, 10, 30, 20], failed: 1, sentWithin: 900 };
  const measurement = measure('soloflight', 1_000, [1_000, 1_099, 1_100, 1_350], load);

  test('are the nearest ranks of the latencies and the queries in each tenth of a second', () => {
    expect(measurement).toMatchObject({
      requests: 4,
      failed: 1,
      queries: 4,
      p50: 20,
      p99: 40,
      max: 40,
      timeline: [2, 1, 0, 1],
    });
  });

  test('are printed in columns', () => {
    const [headings, row] = stripVTControlCharacters(table([measurement])).split('\n');

    expect(headings?.trim().split(/\s{3,}/)).toEqual(['queries', 'failed', 'p50', 'p99', 'max']);
    expect(row?.trim().split(/\s{3,}/)).toEqual(['soloflight', '4', '1', '20 ms', '40 ms', '40 ms']);
  });

  test('are drawn with a bar for each tenth of a second that had queries', () => {
    const svg = chart([{ scenario: { ...viralPost, title: 'Posts & <pages>' }, measurements: [measurement] }]);

    expect(svg).toContain('Posts &amp; &lt;pages&gt;');
    const [, bars] = /<path class="solo" d="(.*)"/.exec(svg) ?? [];
    expect(bars?.match(/z/g)).toHaveLength(3);
  });
});
