import { describe, expect, test } from 'vitest';

import { systemClock } from '../../src/base/clock.js';
import { Singleflight, TieredCache } from '../../src/index.js';

/** Stands still like a stopped process: nothing runs, and answers arrive meanwhile. */
function freeze(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** An answer that has arrived from outside of the process as soon as it was asked for, and waits to be handed out. */
function answer(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGUSR2', () => resolve('answer'));
    process.kill(process.pid, 'SIGUSR2');
  });
}

/** A busy machine may stop this process once more in between: one of twenty attempts must do. */
async function atLeastOnce(attempt: () => Promise<void>): Promise<void> {
  for (let left = 20; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

describe('a process that stood still for longer than a deadline', () => {
  test.each([40, 60, 200])('gives the answer that has arrived, not FLIGHT_TIMEOUT, after %i ms', async (ms) => {
    const flights = new Singleflight({ maxDuration: 30 });

    const flight = flights.execute('k', answer);
    freeze(ms);

    expect(await flight).toBe('answer');
  });

  test('and needed more than one answer for its load, too', async () => {
    const cache = new TieredCache<string>({
      ttl: '1m',
      maxDuration: 30,
      upstream: async () => `${await answer()} ${await answer()}`,
    });

    await atLeastOnce(async () => {
      const read = cache.get('k');
      freeze(100);

      expect(await read).toBe('answer answer');
    });
  });

  test('gives it to a caller whose own timeout has passed', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', upstream: answer });

    const read = cache.get('k', { timeout: 30 });
    freeze(100);

    expect(await read).toBe('answer');
  });

  test('still rejects what has no answer', async () => {
    const flights = new Singleflight({ maxDuration: 30 });

    const flight = flights.execute('k', () => new Promise(() => {}));
    freeze(100);

    await expect(flight).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
  });

  test('and is always late gets its deadlines all the same', async () => {
    const fired = new Promise((resolve) => {
      systemClock.after(10, () => resolve('fired'));
    });
    let isBusy = true;
    const burn = (): void => {
      freeze(20);
      if (isBusy) setImmediate(burn);
    };
    burn();

    expect(await fired).toBe('fired');
    isBusy = false;
  });

  test('can cancel a late timer before it fires', async () => {
    let fired = false;
    const cancel = systemClock.after(5, () => {
      fired = true;
    });
    freeze(20);
    await new Promise((resolve) => setImmediate(resolve));
    cancel();
    await new Promise((resolve) => setTimeout(resolve, 60));

    expect(fired).toBe(false);
  });
});
