import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { loaded } from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';
import { manualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'soloflight-restart-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a restart on the same SQLite file', () => {
  test('conserves age, windows, tags and metadata; nothing is loaded again', async () => {
    const database = join(folder, 'cache.db');
    const clock = manualClock();
    const before = setupCache({ storage: sqliteStorage({ database }), clock });
    const first = before.cache.get('k');
    await settle();
    before.upstream.calls[0]!.resolve(loaded('v', { tags: ['t'], meta: { etag: '"1"' } }));
    await first;
    await before.cache.close();
    clock.advance(700);

    const after = setupCache({ storage: sqliteStorage({ database }), clock });

    expect(await after.cache.lookup('k')).toMatchObject({
      ...{ value: 'v', status: 'hit', tier: 'sqlite', age: 700, freshFor: 300, tags: ['t'], meta: { etag: '"1"' } },
    });
    expect(after.upstream.count).toBe(0);
    await after.cache.close();
  });

  test('does not bring back what was invalidated before it', async () => {
    const database = join(folder, 'cache.db');
    const before = setupCache({ storage: sqliteStorage({ database }) });
    await before.cache.set('k', 'old');
    expect(await before.cache.invalidate('k')).toBe(true);
    await before.cache.close();

    const after = setupCache({ storage: sqliteStorage({ database }) });

    expect(await after.cache.getIfCached('k')).toBeUndefined();
    await after.cache.close();
  });

  test('still has a fallback when the upstream is down at the start', async () => {
    const database = join(folder, 'cache.db');
    const clock = manualClock();
    const before = setupCache({ storage: sqliteStorage({ database }), clock });
    await before.cache.set('k', 'last known good');
    await before.cache.close();
    clock.advance(120_000);

    const after = setupCache({ storage: sqliteStorage({ database }), clock });
    const answer = after.cache.lookup('k');
    await settle();
    after.upstream.calls[0]!.reject(new Error('down'));

    expect(await answer).toMatchObject({ value: 'last known good', status: 'fallback', age: 120_000 });
    await after.cache.close();
  });
});

describe('two caches on one SQLite file', () => {
  test('share what either has loaded, and a newer value of one is not overwritten by an older load of the other', async () => {
    const database = join(folder, 'cache.db');
    const clock = manualClock();
    const one = setupCache({ storage: sqliteStorage({ database }), clock });
    const two = setupCache({ storage: sqliteStorage({ database }), clock });

    const slow = one.cache.get('k');
    await settle();
    clock.advance(10);
    await two.cache.set('k', 'newer');
    one.upstream.calls[0]!.resolve('older');
    await slow;
    await one.cache.idle();

    const three = setupCache({ storage: sqliteStorage({ database }), clock });
    expect(await three.cache.get('k')).toBe('newer');
    for (const { cache } of [one, two, three]) await cache.close();
  });
});
