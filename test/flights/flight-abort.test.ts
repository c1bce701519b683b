import { describe, expect, test } from 'vitest';

import { Singleflight } from '../../src/index.js';
import { fates, heapUsed, settle, setupFlights, turnEnd } from '../support/setup-flights.js';

describe('a caller that aborts', () => {
  test('rejects at once with its reason, while the leader and the other followers go on', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();
    const reason = new Error('client gone');

    const callers = [
      flights.execute('k', work),
      flights.execute('k', work, { signal: controller.signal }),
      flights.execute('k', work),
    ];
    controller.abort(reason);
    const between = await fates(callers);
    work.resolveAll('value');

    expect(between).toEqual(['pending', { error: reason }, 'pending']);
    expect((between[1] as { readonly error: unknown }).error).toBe(reason);
    expect(await fates(callers)).toEqual([{ value: 'value' }, { error: reason }, { value: 'value' }]);
    expect(work.calls[0]!.signal.aborted).toBe(false);
    expect(work.count).toBe(1);
  });

  test('and leads is only a subscriber: its followers live, its work goes on', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    const leader = flights.execute('k', work, { signal: controller.signal });
    const follower = flights.execute('k', work);
    controller.abort('leader gone');
    const late = flights.execute('k', work);
    const { aborted } = work.calls[0]!.signal;
    work.resolveAll('value');

    expect(aborted).toBe(false);
    expect(await fates([leader, follower, late])).toEqual([
      { error: 'leader gone' },
      { value: 'value' },
      { value: 'value' },
    ]);
    expect(work.count).toBe(1);
    expect(flights.getStats()).toMatchObject({ aborted: 0, succeeded: 1 });
  });

  test('is no longer counted as a subscriber', () => {
    const { flights, work, events } = setupFlights();
    const controller = new AbortController();

    void flights.execute('k', work);
    void flights.execute('k', work, { signal: controller.signal });
    void flights.execute('k', work, { signal: controller.signal });
    const before = flights.getStats().totalSubscribers;
    controller.abort();
    void flights.execute('k', work);

    expect([before, flights.getStats().totalSubscribers]).toEqual([3, 2]);
    expect(events.at(-1)).toEqual({ type: 'join', key: 'k', subscribers: 2 });
  });

  test('takes the callers that share its signal along, and nobody else', async () => {
    const { flights, work } = setupFlights();
    const [shared, own] = [new AbortController(), new AbortController()];

    const callers = [shared, own, shared].map(({ signal }) => flights.execute('k', work, { signal }));
    shared.abort('shared');
    const between = await fates(callers);
    work.resolveAll('value');

    expect(between).toEqual([{ error: 'shared' }, 'pending', { error: 'shared' }]);
    expect(await callers[1]).toBe('value');
  });

  test('leaves all its flights, whatever their keys', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    const callers = ['a', 'b', 'c'].map((key) => flights.execute(key, work, { signal: controller.signal }));
    const kept = flights.execute('c', work);
    controller.abort('all');
    work.calls[2]!.resolve('value');

    expect(await fates(callers)).toEqual([{ error: 'all' }, { error: 'all' }, { error: 'all' }]);
    expect(await kept).toBe('value');
    expect(work.calls.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  test('through a combined signal gets the reason of the one that aborted', async () => {
    const { flights, work } = setupFlights();
    const [shutdown, deadline] = [new AbortController(), new AbortController()];
    const reason = new DOMException('too slow', 'TimeoutError');

    const caller = flights.execute('k', work, { signal: AbortSignal.any([shutdown.signal, deadline.signal]) });
    deadline.abort(reason);
    const [fate] = await fates([caller]);

    expect((fate as { readonly error: unknown }).error).toBe(reason);
    expect(work.calls[0]!.signal.reason).toBe(reason);
  });

  test('after the flight settled changes nothing', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    const caller = flights.execute('k', work, { signal: controller.signal });
    work.resolveAll('value');
    await settle();
    controller.abort();

    expect(await caller).toBe('value');
    expect(work.calls[0]!.signal.aborted).toBe(false);
    expect(flights.getStats()).toMatchObject({ succeeded: 1, aborted: 0, totalSubscribers: 0 });
  });
});

describe('the last caller that aborts', () => {
  test('aborts the work with its reason and frees the key in the same tick', async () => {
    const { flights, work } = setupFlights();
    const [first, last] = [new AbortController(), new AbortController()];

    const callers = [first, last].map(({ signal }) => flights.execute('k', work, { signal }));
    const { signal } = work.calls[0]!;
    first.abort('first');
    const between = { aborted: signal.aborted, has: flights.has('k') };
    last.abort('last');
    const after = { aborted: signal.aborted, has: flights.has('k') };

    expect(between).toEqual({ aborted: false, has: true });
    expect(after).toEqual({ aborted: true, has: false });
    expect(signal.reason).toBe('last');
    expect(await fates(callers)).toEqual([{ error: 'first' }, { error: 'last' }]);
    expect(flights.getStats()).toMatchObject({ aborted: 1, inFlightCount: 0, totalSubscribers: 0 });
  });

  test('leaves nothing to join: the next caller, even one in the work’s abort listener, starts anew', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();
    let next: Promise<string> | undefined;

    const caller = flights.execute('k', work, { signal: controller.signal });
    work.calls[0]!.signal.addEventListener('abort', () => void (next = flights.execute('k', work)));
    controller.abort('gone');
    const joined = flights.execute('k', work);
    work.calls[0]!.reject('late');
    await settle();
    work.calls[1]!.resolve('second');

    expect(await fates([caller, next!, joined])).toEqual([{ error: 'gone' }, { value: 'second' }, { value: 'second' }]);
    expect(work.count).toBe(2);
  });

  test('work that asks for its signal only later finds it aborted', async () => {
    const { flights } = setupFlights();
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: AbortSignal | undefined;

    const caller = flights.execute(
      'k',
      async (flight) => {
        await promise;
        late = flight.signal;
      },
      { signal: controller.signal },
    );
    controller.abort('gone');
    resolve();

    expect(await fates([caller])).toEqual([{ error: 'gone' }]);
    expect([late!.aborted, late!.reason]).toEqual([true, 'gone']);
  });

  test('of a forgotten flight aborts its work and leaves the new flight alone', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    void flights.execute('k', work, { signal: controller.signal });
    flights.forget('k');
    const current = flights.execute('k', work);
    controller.abort();
    const has = flights.has('k');
    work.calls[1]!.resolve('new');

    expect(work.calls.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect(has).toBe(true);
    expect(await current).toBe('new');
  });

  test('may be the work itself, synchronously', async () => {
    const { flights } = setupFlights();
    const controller = new AbortController();
    let seen: boolean | undefined;

    const caller = flights.execute(
      'k',
      (flight) => {
        controller.abort('by itself');
        seen = flight.signal.aborted;
        return 'late';
      },
      { signal: controller.signal },
    );

    expect(seen).toBe(true);
    expect(flights.has('k')).toBe(false);
    expect(await fates([caller])).toEqual([{ error: 'by itself' }]);
    expect(flights.getStats()).toMatchObject({ aborted: 1, succeeded: 0 });
  });
});

describe('a caller whose signal is aborted already', () => {
  test('neither joins nor leads, and no work runs', async () => {
    const { flights, work, events } = setupFlights();
    const signal = AbortSignal.abort('before');

    const [leading] = await fates([flights.execute('k', work, { signal })]);
    const runs = work.count;
    void flights.execute('k', work);
    const [joining] = await fates([flights.execute('k', work, { signal, keepAlive: true })]);

    expect([leading, joining]).toEqual([{ error: 'before' }, { error: 'before' }]);
    expect(runs).toBe(0);
    expect(flights.getStats()).toMatchObject({ led: 1, joined: 0, totalSubscribers: 1, rejected: 0 });
    expect(events).toEqual([{ type: 'lead', key: 'k' }]);
  });

  test('by a listener told of the lead, gets its reason, and no work runs', async () => {
    const controller = new AbortController();
    const { flights, work } = setupFlights({
      onEvent: ({ type }) => type === 'lead' && controller.abort('by the listener'),
    });

    const caller = flights.execute('k', work, { signal: controller.signal });
    const has = flights.has('k');

    expect(await fates([caller])).toEqual([{ error: 'by the listener' }]);
    expect(has).toBe(false);
    expect(work.count).toBe(0);
    expect(flights.getStats()).toMatchObject({ led: 1, aborted: 1, inFlightCount: 0, totalSubscribers: 0 });
  });

  test('by a listener told of the join, gets its reason', async () => {
    const controller = new AbortController();
    const { flights, work } = setupFlights({
      onEvent: ({ type }) => type === 'join' && controller.abort('by the listener'),
    });

    const leader = flights.execute('k', work);
    const follower = flights.execute('k', work, { signal: controller.signal });

    expect(await fates([leader, follower])).toEqual(['pending', { error: 'by the listener' }]);
    expect(flights.getStats().totalSubscribers).toBe(1);
  });
});

describe('a caller that aborts while its flight ends', () => {
  test.each(['succeeded', 'failed', 'timedOut'] as const)(
    'through a listener told of the end is counted out once (%s)',
    async (ending) => {
      const controller = new AbortController();
      const { flights, clock, work } = setupFlights({
        maxDuration: 100,
        onEvent: ({ type }) => (type === 'settle' || type === 'timeout') && controller.abort('too late'),
      });

      void flights.execute('other', work);
      const callers = [flights.execute('k', work, { signal: controller.signal }), flights.execute('k', work)];
      if (ending === 'succeeded') work.calls[1]!.resolve('value');
      if (ending === 'failed') work.calls[1]!.reject('reason');
      if (ending === 'timedOut') clock.advance(100);
      const outcomes = await fates(callers);

      expect(outcomes).not.toContain('pending');
      expect(flights.getStats()).toMatchObject({
        [ending]: ending === 'timedOut' ? 2 : 1,
        aborted: 0,
        totalSubscribers: ending === 'timedOut' ? 0 : 1,
      });
    },
  );
});

describe('keepAlive', () => {
  test('keeps the work running with no subscribers, for whoever comes next', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    const leader = flights.execute('k', work, { signal: controller.signal, keepAlive: true });
    controller.abort('gone');
    const alone = { ...flights.getStats(), has: flights.has('k'), aborted: work.calls[0]!.signal.aborted };
    const next = flights.execute('k', work);
    work.resolveAll('value');

    expect(alone).toMatchObject({ inFlightCount: 1, totalSubscribers: 0, has: true, aborted: false });
    expect(await fates([leader, next])).toEqual([{ error: 'gone' }, { value: 'value' }]);
    expect(work.count).toBe(1);
  });

  test('asked for by a follower binds the whole flight, and nobody takes it back', async () => {
    const { flights, work } = setupFlights();
    const controllers = [new AbortController(), new AbortController(), new AbortController()];

    [false, true, false].forEach(
      (keepAlive, index) => void flights.execute('k', work, { signal: controllers[index]!.signal, keepAlive }),
    );
    for (const controller of controllers) controller.abort();

    expect(work.calls[0]!.signal.aborted).toBe(false);
    expect(flights.has('k')).toBe(true);
  });

  test('ends at maxDuration all the same', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });
    const controller = new AbortController();

    void flights.execute('k', work, { signal: controller.signal, keepAlive: true });
    controller.abort();
    clock.advance(100);

    expect(work.calls[0]!.signal.aborted).toBe(true);
    expect(flights.getStats()).toMatchObject({ timedOut: 1, inFlightCount: 0 });
  });

  test('does not bind the next flight of the key', async () => {
    const { flights, work } = setupFlights();
    const controller = new AbortController();

    const first = flights.execute('k', work, { keepAlive: true });
    work.resolveAll('first');
    await first;
    void flights.execute('k', work, { signal: controller.signal });
    controller.abort();

    expect(work.calls[1]!.signal.aborted).toBe(true);
  });
});

describe('listeners on a caller’s signal', () => {
  test('are removed when the flight settles: none is left after 100,000 calls with one signal', async () => {
    const flights = new Singleflight();
    const { signal, count } = countingSignal();

    for (let index = 0; index < 100_000; index += 1) {
      const fails = index % 3 === 0;
      await flights
        .execute(
          `k${index % 7}`,
          () => {
            if (fails) throw index;
          },
          { signal },
        )
        .catch(() => {});
    }

    expect(count.added).toBe(100_000);
    expect(count.removed).toBe(100_000);
  });

  test.each(['timeout', 'abort of the signal', 'abort by the others', 'settle of a forgotten flight'])(
    'are removed at the %s',
    async (ending) => {
      const { flights, clock, work } = setupFlights({ maxDuration: 100 });
      const { signal, controller, count } = countingSignal();

      void flights.execute('k', work, { signal });
      if (ending === 'timeout') clock.advance(100);
      if (ending === 'abort of the signal') controller.abort();
      if (ending === 'abort by the others') {
        const other = new AbortController();
        void flights.execute('k', work, { signal: other.signal });
        other.abort();
        controller.abort();
      }
      if (ending === 'settle of a forgotten flight') {
        flights.forget('k');
        work.resolveAll('value');
      }
      await settle();

      expect(count).toEqual({ added: 1, removed: 1 });
    },
  );

  test('are one per signal and flight, however many followers share it', async () => {
    const { flights, work } = setupFlights();
    const { signal, count } = countingSignal();

    const callers = Array.from({ length: 1_000 }, (_, index) =>
      flights.execute(index % 2 === 0 ? 'a' : 'b', work, { signal }),
    );
    const { added } = count;
    work.resolveAll('value');
    await Promise.all(callers);

    expect(added).toBe(2);
    expect(count).toEqual({ added: 2, removed: 2 });
  });

  test('are none for a call that is turned away', () => {
    const { flights, work } = setupFlights({ maxSubscribers: 1, maxFlights: 1 });
    const { signal, count } = countingSignal();

    void flights.execute('k', work);
    void flights.execute('k', work, { signal });
    void flights.execute('other', work, { signal });

    expect(count.added).toBe(0);
  });

  test('and what goes with them are gone when callers leave a long flight: 20,000 leave no residue', async () => {
    const { flights, work } = setupFlights();
    const pass = (callers: number): void => {
      for (let index = 0; index < callers; index += 1) {
        const controller = new AbortController();
        void flights.execute('k', work, { signal: controller.signal });
        controller.abort();
      }
    };

    void flights.execute('k', work);
    pass(100);
    await turnEnd();
    const before = heapUsed();
    pass(20_000);
    await turnEnd();
    const kept = heapUsed() - before;

    expect(flights.getStats().totalSubscribers).toBe(1);
    expect(kept).toBeLessThan(5_000_000);
  });

  test('of many flights make Node warn of nothing', async () => {
    const { flights, work } = setupFlights();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    const { signal } = new AbortController();

    for (let index = 0; index < 1_000; index += 1) void flights.execute(`k${index}`, work, { signal });
    await turnEnd();
    process.off('warning', note);

    expect(warnings).toEqual([]);
  });
});

function countingSignal(): {
  readonly signal: AbortSignal;
  readonly controller: AbortController;
  readonly count: { added: number; removed: number };
} {
  const controller = new AbortController();
  const { signal } = controller;
  const count = { added: 0, removed: 0 };
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  const live = new Set<unknown>();
  signal.addEventListener = (...args: Parameters<typeof add>): void => {
    count.added += 1;
    live.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
    if (live.delete(args[1])) count.removed += 1;
    remove(...args);
  };
  return { signal, controller, count };
}
