import { mock } from 'node:test';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { Singleflight, TieredCache } from '../../src/index.js';
import { Batcher } from '../../src/writes/index.js';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  mock.timers.reset();
});

const MINUTE = 60_000;

/** What Jest's fake timers replace, but for `nextTick`, which Vitest itself needs. */
const LIKE_JEST = { toFake: [...(['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const),
  ...(['setImmediate', 'clearImmediate', 'performance', 'queueMicrotask'] as const)] }; // prettier-ignore

function counting() {
  let loads = 0;
  const cache = new TieredCache<number>({ ttl: MINUTE, upstream: () => (loads += 1) });
  return cache;
}

/** Reads so often in one millisecond that a cache keeps its reading of the clock. */
async function readOften(cache: TieredCache<number>): Promise<void> {
  for (let reads = 0; reads < 100; reads += 1) await cache.get('k');
}

// First, since `node:test` does not forget the time of the tests before.
describe('a deadline under fake timers', () => {
  const hang = (): Promise<never> => new Promise(() => {});

  test.each([
    ['Vitest', () => void vi.useFakeTimers(), (ms: number) => void vi.advanceTimersByTime(ms)],
    ['Jest', () => void vi.useFakeTimers(LIKE_JEST), (ms: number) => void vi.advanceTimersByTime(ms)],
    ['node:test', () => mock.timers.enable({ apis: ['setTimeout'] }), (ms: number) => mock.timers.tick(ms)],
  ])(
    'of %s comes when they say so, for a Singleflight made before them and used then',
    async (_name, install, advance) => {
      const flights = new Singleflight({ maxDuration: '10s' });
      await flights.execute('before', () => 1);
      install();

      const first = flights.execute('k', hang);
      const second = flights.execute('k', hang);
      advance(10_000);
      const fates = await Promise.allSettled([first, second]);

      const late = { status: 'rejected', reason: expect.objectContaining({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' }) };
      expect(fates).toEqual([late, late]);
    },
  );

  test.each([
    ['Vitest', () => void vi.useFakeTimers()],
    ['Jest, at another time', () => void vi.useFakeTimers({ ...LIKE_JEST, now: 5 })],
  ])('of %s comes in real time when they are taken away', async (_name, install) => {
    install();
    const flights = new Singleflight({ maxDuration: 50 });
    const batcher = new Batcher<number>({ window: 50, handle: () => {} });

    const flight = flights.execute('k', hang);
    const batched = batcher.add(1);
    vi.advanceTimersByTime(10);
    vi.useRealTimers();

    await expect(flight).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
    await batched;
    await expect(flights.execute('next', hang)).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
  });

  test('does not come early because the clock of the test runner was far ahead', async () => {
    vi.useFakeTimers();
    const flights = new Singleflight({ maxDuration: '10s' });
    vi.advanceTimersByTime(24 * 60 * MINUTE);
    const slow = Promise.withResolvers<number>();
    const flight = flights.execute('k', () => slow.promise);

    vi.useRealTimers();
    void flights.execute('other', () => 1);
    expect(flights.getStats().oldestCallAge).toBeLessThan(5_000);
    slow.resolve(1);

    expect(await flight).toBe(1);
  });
});

describe.each([
  ['Vitest', () => void vi.useFakeTimers(), (time: number) => void vi.setSystemTime(time)],
  ['Jest', () => void vi.useFakeTimers(LIKE_JEST), (time: number) => void vi.setSystemTime(time)],
  [
    'node:test',
    () => mock.timers.enable({ apis: ['Date', 'setTimeout', 'setImmediate', 'setInterval'] }),
    (time: number) => mock.timers.setTime(time),
  ],
])('the system time of %s', (_name, install, setTime) => {
  test('is seen at the next read, however many there were in that millisecond', async () => {
    install();
    const cache = counting();
    await readOften(cache);

    setTime(Date.now() + MINUTE);

    expect(await cache.get('k')).toBe(2);
  });

  test('is seen by a cache made before', async () => {
    const cache = counting();
    await readOften(cache);
    install();
    setTime(Date.now());
    await readOften(cache);

    setTime(Date.now() + 2 * MINUTE);

    expect(await cache.get('k')).not.toBe(1);
  });

  test('is forgotten by a cache made under it, when it is taken away', async () => {
    install();
    const cache = counting();
    await readOften(cache);

    vi.useRealTimers();
    mock.timers.reset();
    await readOften(cache);
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 10 * MINUTE);

    expect(await cache.get('k')).toBeGreaterThan(1);
  });
});

describe('keys asked for under fake timers', () => {
  test.each([
    ['Vitest', () => void vi.useFakeTimers()],
    ['Jest', () => void vi.useFakeTimers(LIKE_JEST)],
  ])('of %s are loaded together, without a timer that somebody has to fire', async (_name, install) => {
    install();
    const batches: number[] = [];
    const cache = new TieredCache<string>({
      ttl: MINUTE,
      loadMany: (keys) => {
        batches.push(keys.length);
        return [...keys];
      },
    });

    expect(await Promise.all([cache.get('a'), cache.get('b')])).toEqual(['a', 'b']);

    expect(batches).toEqual([2]);
  });
});
