import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createDatabase } from '../../../examples/demo/database.js';
import type { Measurement } from '../../../examples/demo/measurement.js';
import { run } from '../../../examples/demo/run.js';
import { databaseDown, viralPost } from '../../../examples/demo/scenarios.js';
import type { Way } from '../../../examples/demo/ways.js';
import { waitPatiently } from '../../support/patience.js';

waitPatiently();

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
describe('the demo, shortened', () => {
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
    const scenario = { ...databaseDown, requests: 800, over: 8_000, ttl: 200, outage: { from: 3_000, to: 6_000 } };

    const [unprotected, cached, ours] = (await run(scenario, { database, ways: WAYS })) as [
      Measurement,
      Measurement,
      Measurement,
    ];

    expect(ours).toMatchObject({ way: 'soloflight', requests: 800, failed: 0 });
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
