import { describe, expect, test } from 'vitest';

import { loaded, mapStorage } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('a stale key', () => {
  test('answers at once and revalidates in the background, once for all readers', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_000);

    const answers = await Promise.all(Array.from({ length: 1_000 }, () => cache.get('k')));

    expect(new Set(answers)).toEqual(new Set(['old']));
    expect(upstream.calls.map(({ reason }) => reason)).toEqual(['revalidate']);
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(await cache.get('k')).toBe('new');
  });

  test('is served without waiting while its reload hangs', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_000);

    expect(await cache.get('k')).toBe('old');
    clock.advance(20_000);
    expect(await cache.get('k')).toBe('old');
    expect(upstream.count).toBe(1);
  });

  test('is no longer served from the very instant its window ends', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(60_999);
    expect((await cache.lookup('k')).status).toBe('stale');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();

    clock.advance(60_000);
    const blocked = cache.get('k');
    upstream.calls[1]!.resolve('new');

    expect(await blocked).toBe('new');
  });

  test('the reload is told the previous value and its metadata', async () => {
    const { cache, clock, upstream } = setupCache();
    const first = cache.get('k');
    upstream.calls[0]!.resolve(loaded('old', { meta: { etag: '"1"' } }));
    await first;
    const createdAt = clock.now();
    clock.advance(1_000);

    await cache.get('k');

    expect(upstream.calls[1]!.stale).toEqual({ value: 'old', createdAt, meta: { etag: '"1"' } });
  });

  test('1,000 stale reads of a dead upstream cost one call per backoff', async () => {
    const { cache, clock, upstream } = setupCache({ errorBackoff: { initial: 1_000, max: 8_000 } });
    await cache.set('k', 'old');
    clock.advance(1_000);
    const calls: number[] = [];

    for (let second = 0; second < 40; second += 1) {
      for (let read = 0; read < 25; read += 1) expect(await cache.get('k')).toBe('old');
      for (const call of upstream.calls) if (!call.settled) call.reject(new Error('down'));
      await settle();
      calls.push(upstream.count);
      clock.advance(1_000);
    }

    // Pauses of 1, 2, 4, 8, 8 … seconds (times 0.999): calls at 0, 1, 3, 7, 15, 23, 31, 39.
    expect(calls.at(-1)).toBe(8);
  });

  test('the pause has full jitter: chance decides how much of it is kept', async () => {
    const clock = manualClock({ random: () => 0.25 });
    const { cache, upstream } = setupCache({ clock, errorBackoff: { initial: 1_000, max: 8_000 } });
    await cache.set('k', 'old');
    clock.advance(1_000);
    await cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();

    clock.advance(249);
    await cache.get('k');
    expect(upstream.count).toBe(1);
    clock.advance(1);
    await cache.get('k');
    expect(upstream.count).toBe(2);
  });

  test('a success ends the backoff', async () => {
    const { cache, clock, upstream } = setupCache({ errorBackoff: { initial: 1_000, max: 8_000 } });
    await cache.set('k', 'old');
    clock.advance(1_000);
    for (const pause of [1_000, 2_000, 4_000]) {
      await cache.get('k');
      upstream.calls.at(-1)!.reject(new Error('down'));
      await settle();
      clock.advance(pause);
    }
    await cache.get('k');
    upstream.calls.at(-1)!.resolve('new');
    await settle();

    clock.advance(1_000);
    await cache.get('k');
    upstream.calls.at(-1)!.reject(new Error('down'));
    await settle();
    clock.advance(1_000);
    const before = upstream.count;
    await cache.get('k');

    expect(upstream.count).toBe(before + 1);
  });

  test('the backoff holds when only storage has the fallback', async () => {
    const { cache, clock, upstream } = setupCache({ storage: mapStorage(), memory: false });
    await cache.set('k', 'old');
    clock.advance(1_000);

    expect(await cache.get('k')).toBe('old');
    await settle();
    upstream.calls[0]!.reject(new Error('down'));
    await settle();
    for (let read = 0; read < 100; read += 1) expect(await cache.get('k')).toBe('old');

    expect(upstream.count).toBe(1);
  });

  test('a jump of the wall clock neither ends nor prolongs a backoff', async () => {
    const { cache, clock, upstream } = setupCache({ staleWhileRevalidate: Infinity });
    await cache.set('k', 'old');
    clock.advance(1_000);
    await cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();

    clock.jump(3_600_000);
    await cache.get('k');
    expect(upstream.count).toBe(1);
    clock.jump(-3_600_000);
    clock.advance(1_000);
    await cache.get('k');
    expect(upstream.count).toBe(2);
  });

  test('with coalescing switched off the background reload is still one', async () => {
    const { cache, clock, upstream } = setupCache({ coalesce: false });
    await cache.set('k', 'old');
    clock.advance(1_000);

    await Promise.all(Array.from({ length: 100 }, () => cache.get('k')));

    expect(upstream.count).toBe(1);
  });

  test('background work is handed to `defer` and to the reader’s `waitUntil`', async () => {
    const deferred: string[] = [];
    const waited: Promise<unknown>[] = [];
    const { cache, clock, upstream } = setupCache({ defer: (_work, reason) => deferred.push(reason) });
    await cache.set('k', 'old');
    clock.advance(1_000);

    await cache.get('k', { waitUntil: (work) => waited.push(work) });
    upstream.calls[0]!.reject(new Error('down'));
    await Promise.all(waited);

    expect(deferred).toEqual(['revalidate']);
    expect(waited).toHaveLength(1);
  });

  test('a reload survives the abort of a caller who had joined it', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_000);
    const controller = new AbortController();

    await cache.get('k');
    const strict = cache.get('k', { maxStale: 0, signal: controller.signal });
    controller.abort();

    await expect(strict).rejects.toBe(controller.signal.reason);
    expect(upstream.calls[0]!.signal.aborted).toBe(false);
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(cache.peek('k')).toBe('new');
  });
});

describe('a clock that jumps', () => {
  test('back by an hour: an entry from the future is not served as fresh', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');

    clock.jump(-3_600_000);
    const answer = cache.get('k');
    upstream.calls[0]!.resolve('new');

    expect(await answer).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });

  test('forward by an hour: the entry is over', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');

    clock.jump(3_600_000);
    const answer = cache.get('k');
    upstream.calls[0]!.resolve('new');

    expect(await answer).toBe('new');
  });
});

describe('a caller that asks for a load, with a stale value at hand', () => {
  test('waits for it whatever `softTimeout` says', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: 10 });
    await cache.set('k', 'old');
    clock.advance(2_000);

    const reload = cache.getOrLoad('k', upstream, { reload: true });
    await clock.advanceAsync(100);
    upstream.calls[0]!.resolve('new');

    expect(await reload).toBe('new');
  });

  test('gets that value when its own `timeout` ends', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(2_000);

    const refreshed = cache.refresh('k', { timeout: 50 });
    await clock.advanceAsync(50);
    const answer = await Promise.race([refreshed, settle().then(() => 'still waits')]);
    upstream.calls[0]!.resolve('new');

    expect(answer).toBe('old');
    await refreshed;
  });
});
