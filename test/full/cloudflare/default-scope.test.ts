import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { waitPatiently } from '../../support/patience.js';
import { startWorker, type StartedWorker } from '../../support/start-worker.js';

const FIXTURE = new URL('fixtures/default-worker.ts', import.meta.url);

waitPatiently();

describe('caches at module scope of a plain Worker that say nothing of their scope', () => {
  let worker: StartedWorker;
  beforeAll(async () => {
    worker = await startWorker(FIXTURE, { compatibilityDate: '2026-10-23', compatibilityFlags: [] });
  });
  afterAll(() => worker.stop());

  test.each([
    ['`new TieredCache`', (key: string) => `/get?key=${key}`],
    ['`cachedFetch`', (key: string) => `/fetch?key=${key}`],
  ])('%s: fifty who follow are answered although the client that led has left', async (name, pathOf) => {
    const key = name.replaceAll(/\W/g, '');
    const client = await worker.open(pathOf(key));
    const load = await worker.called(key);
    const followers = Array.from({ length: 50 }, () => worker.get(pathOf(key)));
    await worker.arrived(key, 51);

    await client.leave();
    load.answer('loaded');

    expect(new Set(await Promise.all(followers))).toEqual(new Set(['loaded']));
    expect(await worker.get(pathOf(key))).toBe('loaded');
    expect(worker.calls(key)).toHaveLength(1);
  });
});
