import { describe, expect, test } from 'vitest';

import { mapStorage } from '../../src/index.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('a caller who aborts', () => {
  test('as the leader leaves its followers a load that goes on', async () => {
    const { cache, upstream } = setupCache();
    const controller = new AbortController();

    const leader = cache.get('k', { signal: controller.signal });
    const follower = cache.get('k');
    controller.abort(new Error('closed the page'));
    await expect(leader).rejects.toThrow('closed the page');
    expect(upstream.calls[0]!.signal.aborted).toBe(false);
    upstream.calls[0]!.resolve('v');

    expect(await follower).toBe('v');
  });

  test('as the last one aborts the load; the next caller starts anew at once', async () => {
    const { cache, upstream } = setupCache();
    const [one, two] = [new AbortController(), new AbortController()];

    const callers = [cache.get('k', { signal: one.signal }), cache.lookup('k', { signal: two.signal })];
    one.abort();
    two.abort(new Error('gone'));
    expect(upstream.calls[0]!.signal.aborted).toBe(true);
    const next = cache.get('k');
    expect(upstream.count).toBe(2);
    upstream.calls[0]!.resolve('late');
    upstream.calls[1]!.resolve('v');

    for (const outcome of await Promise.allSettled(callers)) expect(outcome.status).toBe('rejected');
    expect(await next).toBe('v');
    expect(await cache.get('k')).toBe('v');
  });

  test('before calling neither joins nor leads nor reads', async () => {
    const { cache, upstream } = setupCache();
    await cache.set('cached', 'v');
    const signal = AbortSignal.abort(new Error('too late'));

    await expect(cache.get('k', { signal })).rejects.toThrow('too late');
    await expect(cache.get('cached', { signal })).rejects.toThrow('too late');

    expect(upstream.count).toBe(0);
  });

  test('while storage is read: no load starts for nobody', async () => {
    let answer!: () => void;
    const storage = overridden(mapStorage(), {
      get: () => new Promise((resolve) => (answer = () => resolve(undefined))),
    });
    const { cache, upstream } = setupCache({ storage });
    const controller = new AbortController();

    const caller = cache.get('k', { signal: controller.signal });
    controller.abort();
    await expect(caller).rejects.toBe(controller.signal.reason);
    answer();
    await settle();

    expect(upstream.count).toBe(0);
  });

  test('does not end a load that a stale read counts on', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(1_000);
    const controller = new AbortController();

    const refreshed = cache.refresh('k', { signal: controller.signal });
    expect(await cache.get('k')).toBe('old');
    controller.abort();
    await expect(refreshed).rejects.toBe(controller.signal.reason);

    expect(upstream.calls[0]!.signal.aborted).toBe(false);
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(cache.peek('k')).toBe('new');
  });

  test('is not held against the key: no backoff, no remembered failure', async () => {
    const { cache, clock, upstream } = setupCache({ errorTtl: '1h' });
    await cache.set('k', 'old');
    clock.advance(120_000);
    const controller = new AbortController();

    const caller = cache.get('k', { signal: controller.signal });
    controller.abort();
    upstream.calls[0]!.reject(controller.signal.reason);
    await expect(caller).rejects.toBe(controller.signal.reason);
    const next = cache.get('k');
    upstream.calls[1]!.resolve('new');

    expect(await next).toBe('new');
    expect(cache.getStats().loadFailures).toBe(0);
  });
});

describe('limits', () => {
  test('one caller more than `maxSubscribers` is turned away, the others are served', async () => {
    const { cache, upstream } = setupCache({ maxSubscribers: 2 });

    const callers = [cache.get('k'), cache.get('k')];
    await expect(cache.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS' });
    upstream.calls[0]!.resolve('v');

    expect(await Promise.all(callers)).toEqual(['v', 'v']);
  });

  test('beyond `maxFlights` new keys are turned away, known ones are still joined, stale ones still served', async () => {
    const { cache, clock, upstream } = setupCache({ maxFlights: 1 });
    await cache.set('stale', 'old');
    clock.advance(1_000);

    const first = cache.get('a');
    await expect(cache.get('b')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_FLIGHTS' });
    expect(await cache.get('stale')).toBe('old');
    const joined = cache.get('a');
    upstream.calls[0]!.resolve('v');

    expect(await Promise.all([first, joined])).toEqual(['v', 'v']);
  });

  test('a read without a load takes no place under `maxFlights`', async () => {
    const storage = overridden(mapStorage(), { get: () => new Promise(() => {}) });
    const { cache, clock, upstream } = setupCache({ storage, maxFlights: 1 });
    const quiet = cache.getIfCached('a');

    const loud = cache.get('b');
    await settle();
    clock.advance(1_000);
    await settle();
    upstream.calls[0]!.resolve('v');

    expect(await loud).toBe('v');
    expect(await quiet).toBeUndefined();
  });
});
