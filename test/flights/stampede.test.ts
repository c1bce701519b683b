import { describe, expect, test } from 'vitest';

import { Singleflight } from '../../src/index.js';
import { fates, heapUsed, settle, setupFlights } from '../support/setup-flights.js';

describe('many callers of one key', () => {
  test.each([1, 2, 10, 1_000, 100_000, 1_000_000])(
    '%i callers run the work once and all get the same object',
    async (callers) => {
      const flights = new Singleflight();
      const { promise, resolve } = Promise.withResolvers<object>();
      const answer = { id: 1 };
      let runs = 0;
      let served = 0;

      const work = (): Promise<object> => {
        runs += 1;
        return promise;
      };
      let last: Promise<unknown> = promise;
      for (let index = 0; index < callers; index += 1) {
        last = flights.execute('post:1', work).then((value) => (served += value === answer ? 1 : 0));
      }
      expect(flights.getStats()).toMatchObject({
        inFlightCount: 1,
        totalSubscribers: callers,
        led: 1,
        joined: callers - 1,
      });
      resolve(answer);
      await last;

      expect(runs).toBe(1);
      expect(served).toBe(callers);
      expect(flights.getStats()).toMatchObject({ inFlightCount: 0, totalSubscribers: 0, succeeded: 1 });
    },
  );

  test('callers that arrive later, while the work is still running, join it', async () => {
    const { flights, work } = setupFlights();

    const callers: Promise<unknown>[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      callers.push(flights.execute('k', work), flights.execute('k', work));
      await settle();
    }
    work.resolveAll('value');

    expect(await Promise.all(callers)).toEqual(callers.map(() => 'value'));
    expect(work.count).toBe(1);
  });

  test('a failure reaches 1,000 callers as one instance and none of them runs the work again', async () => {
    const { flights, work } = setupFlights();
    const failure = new Error('database down');

    const callers = Array.from({ length: 1_000 }, () => flights.execute('k', work));
    work.rejectAll(failure);
    const outcomes = (await fates(callers)) as { readonly error: unknown }[];

    expect(new Set(outcomes.map(({ error }) => error))).toEqual(new Set([failure]));
    expect(outcomes.every(({ error }) => error === failure)).toBe(true);
    expect(work.count).toBe(1);
  });

  test('callers that each retry once after a failure share the retry as well', async () => {
    const { flights, work } = setupFlights();

    const callers = Array.from({ length: 100 }, () =>
      flights.execute('k', work).catch(() => flights.execute('k', work)),
    );
    work.rejectAll(new Error('once'));
    await settle();
    work.resolveAll('second');

    expect(new Set(await Promise.all(callers))).toEqual(new Set(['second']));
    expect(work.count).toBe(2);
  });

  test('100,000 followers with one signal cost one listener and all leave at once', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();
    let listeners = 0;
    const add = controller.signal.addEventListener.bind(controller.signal);
    controller.signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners += 1;
      add(...args);
    };

    const leader = flights.execute('k', work);
    let left = 0;
    let last: Promise<unknown> = leader;
    for (let index = 0; index < 100_000; index += 1) {
      last = flights.execute('k', work, { signal: controller.signal }).catch(() => (left += 1));
    }
    expect(flights.getStats().totalSubscribers).toBe(100_001);
    controller.abort();
    await last;

    expect(listeners).toBe(1);
    expect(left).toBe(100_000);
    expect(flights.getStats()).toMatchObject({ totalSubscribers: 1, inFlightCount: 1, aborted: 0 });
    work.resolveAll('value');
    expect(await leader).toBe('value');
  });
});

describe('many keys', () => {
  test('each of 10,000 concurrent keys has its own flight and its own value', async () => {
    const flights = new Singleflight<number>();
    const runs = new Map<number, number>();

    const callers = Array.from({ length: 30_000 }, (_, index) => {
      const key = index % 10_000;
      return flights.execute(key, async ({ key: own }) => {
        runs.set(own, (runs.get(own) ?? 0) + 1);
        await null;
        return own;
      });
    });
    const values = await Promise.all(callers);

    expect(values.every((value, index) => value === index % 10_000)).toBe(true);
    expect(runs.size).toBe(10_000);
    expect([...runs.values()].every((count) => count === 1)).toBe(true);
  });

  test('1,000,000 keys one after another leave nothing behind', async () => {
    const flights = new Singleflight({ maxDuration: Infinity });
    let ran = 0;
    const run = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index += 1) await flights.execute(`key:${index}`, () => (ran += 1));
    };

    await run(0, 10_000);
    const before = heapUsed();
    await run(10_000, 1_000_000);
    const kept = heapUsed() - before;

    expect(ran).toBe(1_000_000);
    expect(flights.getStats()).toMatchObject({
      inFlightCount: 0,
      totalSubscribers: 0,
      oldestCallAge: null,
      led: 1_000_000,
      succeeded: 1_000_000,
    });
    // Eight bytes a key would already be too much.
    expect(kept).toBeLessThan(8_000_000);
  });
});
