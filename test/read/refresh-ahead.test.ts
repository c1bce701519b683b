import { describe, expect, test } from 'vitest';

import { mapStorage } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('refreshing ahead by a fraction of the ttl', () => {
  test('the first read past it starts one reload, and all go on being hits', async () => {
    const { cache, clock, upstream } = setupCache({ ttl: 1_000, refreshAhead: 0.8 });
    await cache.set('k', 'old');

    clock.advance(799);
    await cache.get('k');
    expect(upstream.count).toBe(0);
    clock.advance(1);
    expect((await cache.lookup('k')).status).toBe('hit');
    await Promise.all([cache.get('k'), cache.get('k')]);

    expect(upstream.calls.map(({ reason }) => reason)).toEqual(['revalidate']);
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(await cache.lookup('k')).toMatchObject({ value: 'new', freshFor: 1_000 });
  });

  test('is off by default', async () => {
    const { cache, clock, upstream } = setupCache({ ttl: 1_000 });
    await cache.set('k', 'v');

    clock.advance(999);
    await cache.get('k');

    expect(upstream.count).toBe(0);
  });

  test('a failing reload leaves the fresh value and backs off', async () => {
    const { cache, clock, upstream } = setupCache({ ttl: 10_000, refreshAhead: 0.5 });
    await cache.set('k', 'v');
    clock.advance(6_000);

    await cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await settle();
    for (let read = 0; read < 100; read += 1) expect(await cache.get('k')).toBe('v');

    expect(upstream.count).toBe(1);
    expect(cache.getStats()).toMatchObject({ hits: 101, fallbacks: 0 });
  });

  test('counts for an entry that comes from storage as well', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage, ttl: 1_000 });
    await first.cache.set('k', 'v');
    first.clock.advance(900);
    const { cache, upstream } = setupCache({ storage, ttl: 1_000, refreshAhead: 0.8, clock: first.clock });

    expect((await cache.lookup('k')).status).toBe('hit');
    await settle();

    expect(upstream.count).toBe(1);
  });
});

describe('refreshing ahead by XFetch', () => {
  // Due when now - loadMs · beta · ln(random) ≥ freshUntil; with a load of 100 ms and a random number of e^-3: 300 · beta ms before the end.
  test.each([
    [1, 699, false],
    [1, 700, true],
    [2, 399, false],
    [2, 400, true],
    [0.5, 849, false],
    [0.5, 850, true],
  ])('with beta %d, %d ms after a load of 100 ms and a random number of e^-3: %s', async (beta, age, due) => {
    const clock = manualClock({ random: () => Math.exp(-3) });
    const { cache, upstream } = setupCache({ ttl: 1_000, refreshAhead: { beta }, clock });
    const first = cache.get('k');
    clock.advance(100);
    upstream.calls[0]!.resolve('v');
    await first;

    clock.advance(age);
    await cache.get('k');

    expect(upstream.count).toBe(due ? 2 : 1);
  });

  test('never reloads what cost nothing to load, and copes with a random 0', async () => {
    const clock = manualClock({ random: () => 0 });
    const { cache, upstream } = setupCache({ ttl: 1_000, refreshAhead: { beta: 1 }, clock });
    await cache.set('k', 'v');

    clock.advance(999);

    expect(await cache.get('k')).toBe('v');
    expect(upstream.count).toBe(0);
  });
});

describe('jitter', () => {
  test.each([
    [0, 1_000],
    [0.5, 950],
    [0.999, 900],
  ])('a random %d shortens a ttl of 1,000 ms by 10 % of that, for loads and sets alike', async (random, ttl) => {
    const clock = manualClock({ random: () => random });
    const { cache, upstream } = setupCache({ ttl: 1_000, jitter: 0.1, clock });

    await cache.set('set', 'v');
    const loaded = cache.lookup('loaded');
    upstream.calls[0]!.resolve('v');

    expect((await loaded).freshFor).toBe(ttl);
    expect((await cache.lookup('set')).freshFor).toBe(ttl);
  });

  test('leaves a value without end without end', async () => {
    const { cache } = setupCache({ ttl: Infinity, jitter: 0.1 });
    await cache.set('k', 'v');

    expect((await cache.lookup('k')).freshFor).toBe(Infinity);
  });
});

describe('options of chance that make no sense', () => {
  test.each([
    [
      { refreshAhead: 0 },
      'Expected `refreshAhead` to be a number between 0 and 1, or { beta } with a number > 0, got `0` (number)',
    ],
    [{ refreshAhead: 1 }, 'Expected `refreshAhead`'],
    [{ refreshAhead: { beta: -1 } }, 'Expected `refreshAhead`'],
    [{ refreshAhead: {} }, 'Expected `refreshAhead`'],
    [{ jitter: 1 }, 'Expected `jitter` to be a number in [0, 1), got `1` (number)'],
    [{ jitter: -0.1 }, 'Expected `jitter`'],
    [{ isolate: 'deep' }, "Expected `isolate` to be 'none', 'freeze' or 'clone', got `'deep'` (string)"],
    [{ isolate: 'toString' }, 'Expected `isolate`'],
  ])('%j: %s', (options, message) => {
    expect(() => setupCache(options as never)).toThrow(message);
  });
});
