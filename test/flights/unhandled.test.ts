import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Singleflight, type SingleflightOptions } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';

/** Nobody in this file handles a promise of the library, unless the test says so. */
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push({ reason });
const never = new Promise<never>(() => {});

beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => void process.off('unhandledRejection', note));

/** Two turns of the event loop: after the first, rejections that nobody handled have been reported. */
async function reported(): Promise<unknown[]> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return unhandled.splice(0);
}

function setup(options: SingleflightOptions = {}): { flights: Singleflight; clock: ReturnType<typeof manualClock> } {
  const clock = manualClock();
  return { clock, flights: new Singleflight({ clock, maxDuration: 100, ...options }) };
}

test('the check itself notices a rejection that nobody handles', async () => {
  // Vitest listens as well and would fail the run.
  const others = process.listeners('unhandledRejection').filter((listener) => listener !== note);
  for (const listener of others) process.off('unhandledRejection', listener);

  void Promise.reject('noticed');
  const seen = await reported();
  for (const listener of others) process.on('unhandledRejection', listener);

  expect(seen).toEqual([{ reason: 'noticed' }]);
});

describe.each([
  ['an error', new Error('reason')],
  ['undefined', undefined],
  ['null', null],
  ['0', 0],
])('Singleflight, work that fails with %s', (_, reason) => {
  test.each([1, 2, 1_000])('%i subscribers that look away', async (subscribers) => {
    const { flights } = setup();
    const { signal } = new AbortController();

    for (let index = 0; index < subscribers; index += 1) {
      void flights.execute('rejects', () => Promise.reject(reason));
      void flights.execute('rejects later', () => Promise.resolve().then(() => Promise.reject(reason)), { signal });
      void flights.execute('throws', () => {
        throw reason;
      });
      void flights.execute('thenable', () => ({
        then: (_done: unknown, fail: (error: unknown) => void) => fail(reason),
      }));
      void flights.join('joined', () => Promise.reject(reason), { signal: new AbortController().signal });
    }

    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ failed: 5, inFlightCount: 0 });
  });

  test('no subscriber left, the work kept alive', async () => {
    const { flights } = setup();
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();

    void flights.execute('k', () => promise, { signal: controller.signal, keepAlive: true });
    controller.abort(reason);
    reject(reason);

    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ failed: 1 });
  });

  test('all aborted, and the work fails because of it', async () => {
    const { flights } = setup();
    const controllers = [new AbortController(), new AbortController()];

    for (const { signal } of controllers) {
      void flights.execute(
        'k',
        (flight) =>
          new Promise((_, reject) => flight.signal.addEventListener('abort', () => reject(flight.signal.reason))),
        { signal },
      );
    }
    for (const controller of controllers) controller.abort(reason);

    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ aborted: 1 });
  });

  test('some aborted, some not', async () => {
    const { flights } = setup();
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();

    void flights.execute('k', () => promise, { signal: controller.signal });
    void flights.execute('k', () => promise);
    controller.abort(reason);
    reject(reason);

    expect(await reported()).toEqual([]);
  });

  test('timed out, and the work fails late', async () => {
    const { flights, clock } = setup();
    const { promise, reject } = Promise.withResolvers<never>();

    void flights.execute('k', () => promise);
    void flights.execute('k', () => promise, { signal: new AbortController().signal });
    clock.advance(100);
    const atTimeout = await reported();
    reject(reason);

    expect(atTimeout).toEqual([]);
    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ timedOut: 1 });
  });

  test('forgotten', async () => {
    const { flights } = setup();
    const { promise, reject } = Promise.withResolvers<never>();

    void flights.execute('k', () => promise);
    flights.forget('k');
    reject(reason);

    expect(await reported()).toEqual([]);
  });
});

describe('Singleflight, calls turned away', () => {
  test('by the guards, by misuse, by a signal aborted before', async () => {
    const { flights } = setup({ maxSubscribers: 1, maxFlights: 1 });

    void flights.execute('k', () => {
      void flights.execute('k', () => 'inner');
      return never;
    });
    void flights.execute('k', () => never);
    void flights.execute('other', () => never);
    void flights.execute('k', 'no function' as never);
    void flights.execute('k', () => never, { signal: 'no signal' as never });
    void flights.execute('k', () => never, { signal: AbortSignal.abort() });
    void flights.join('k', () => never);

    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ led: 1, rejected: 4 });
  });

  test('nested work that waits for a flight that fails', async () => {
    const { flights } = setup();

    void flights.execute('outer', async (flight) => {
      await null;
      void flight.execute('inner', () => Promise.reject('reason'));
      void flight.execute('outer', () => 'inner');
      return 'outer';
    });

    expect(await reported()).toEqual([]);
  });

  test('uncoalesced calls', async () => {
    const { flights } = setup({ coalesce: false });

    for (let call = 0; call < 3; call += 1) void flights.execute('k', () => Promise.reject('reason'));

    expect(await reported()).toEqual([]);
    expect(flights.getStats()).toMatchObject({ failed: 3 });
  });
});
