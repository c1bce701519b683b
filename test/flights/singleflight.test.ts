import { AsyncLocalStorage } from 'node:async_hooks';

import { describe, expect, test } from 'vitest';

import {
  FlightTimeoutError,
  ReentrantFlightError,
  Singleflight,
  TooManyFlightsError,
  TooManySubscribersError,
  type Clock,
  type FlightContext,
} from '../../src/index.js';
import { fates, settle, setupFlights } from '../support/setup-flights.js';

const never = new Promise<never>(() => {});

describe('executing a key', () => {
  test('calls the work in the same tick, once the flight is on record', () => {
    const { flights, work } = setupFlights();
    let recorded = false;

    void flights.execute('k', (flight) => {
      recorded = flights.has('k') && flight.subscribers === 1;
      return work(flight);
    });

    expect(recorded).toBe(true);
    expect(work.count).toBe(1);
  });

  test.each([
    ['a plain value', () => 'value', { value: 'value' }],
    ['undefined', () => undefined, { value: undefined }],
    ['a promise', () => Promise.resolve('value'), { value: 'value' }],
    ['a thenable', () => ({ then: (done: (value: string) => void) => done('value') }), { value: 'value' }],
    [
      'a throw',
      () => {
        throw 'reason';
      },
      { error: 'reason' },
    ],
    [
      'a throw of undefined',
      () => {
        throw undefined;
      },
      { error: undefined },
    ],
    [
      'a throw of null',
      () => {
        throw null;
      },
      { error: null },
    ],
    [
      'a throw of 0',
      () => {
        throw 0;
      },
      { error: 0 },
    ],
    ['a rejection', () => Promise.reject('reason'), { error: 'reason' }],
    ['a rejection with undefined', () => Promise.reject(undefined), { error: undefined }],
    ['a rejecting thenable', () => ({ then: (_: unknown, fail: (reason: unknown) => void) => fail(0) }), { error: 0 }],
    [
      'a thenable that throws',
      () => ({
        then: () => {
          throw null;
        },
      }),
      { error: null },
    ],
    [
      'a thenable without a readable then',
      () => ({
        get then(): never {
          throw 'unreadable';
        },
      }),
      { error: 'unreadable' },
    ],
    ['a promise without a readable constructor', unreadable, { error: 'unreadable' }],
  ] as [string, () => unknown, object][])(
    '%s reaches callers of the same tick alike, and the key is free afterwards',
    async (_, work, fate) => {
      const { flights } = setupFlights();
      let runs = 0;
      const counted = (): unknown => {
        runs += 1;
        return work();
      };

      const callers = [flights.execute('k', counted), flights.execute('k', counted), flights.execute('k', counted)];
      const inTick = { runs, has: flights.has('k') };
      const outcomes = await fates(callers);

      expect(inTick).toEqual({ runs: 1, has: true });
      expect(outcomes).toEqual([fate, fate, fate]);
      expect(flights.has('k')).toBe(false);
      expect(flights.getStats()).toMatchObject(
        'value' in fate ? { succeeded: 1, failed: 0 } : { succeeded: 0, failed: 1 },
      );
    },
  );

  test('all callers get the value by reference, whichever way they wait', async () => {
    const { flights } = setupFlights();
    const value = { id: 1 };
    const { signal } = new AbortController();

    const values = await Promise.all([
      flights.execute('k', async () => value),
      flights.execute('k', async () => ({ id: 2 })),
      flights.execute('k', async () => ({ id: 3 }), { signal }),
    ]);

    expect(values.every((own) => own === value)).toBe(true);
  });

  test('different keys fly side by side', async () => {
    const { flights, work } = setupFlights();

    const callers = [flights.execute('a', work), flights.execute('b', work)];
    work.calls[1]!.resolve('second');
    work.calls[0]!.reject('first');

    expect(await fates(callers)).toEqual([{ error: 'first' }, { value: 'second' }]);
  });

  test('one instance knows nothing of another', () => {
    const [one, other] = [setupFlights(), setupFlights()];

    void one.flights.execute('k', one.work);
    void other.flights.execute('k', other.work);

    expect([one.work.count, other.work.count]).toEqual([1, 1]);
  });

  test.each([undefined, null, 'text', {}])(
    'work that is %o rejects with a TypeError and leaves no trace',
    async (work) => {
      const { flights, events } = setupFlights();

      const [fate] = await fates([flights.execute('k', work as never)]);

      expect(fate).toEqual({ error: expect.any(TypeError) });
      expect(flights.has('k')).toBe(false);
      expect(flights.getStats()).toMatchObject({ led: 0, joined: 0, rejected: 0 });
      expect(events).toEqual([]);
    },
  );
});

test.each([null, 'text', {}, { aborted: false }, { aborted: false, addEventListener() {} }])(
  'a signal that is %o rejects with a TypeError and leaves no trace',
  async (signal) => {
    const { flights, work } = setupFlights();

    expect(await fates([flights.execute('k', work, { signal: signal as never })])).toEqual([
      { error: expect.any(TypeError) },
    ]);
    expect(flights.getStats()).toMatchObject({ led: 0, inFlightCount: 0 });
    expect(work.count).toBe(0);
  },
);

describe('the end of a flight', () => {
  test.each(['resolve', 'reject'] as const)(
    'the key is free before subscribers run: a continuation leads a new flight (%s)',
    async (ending) => {
      const { flights, work } = setupFlights();
      const seen: boolean[] = [];
      const again = (): Promise<string> => {
        seen.push(flights.has('k'));
        return flights.execute('k', work);
      };

      const caller = flights.execute('k', work).then(again, again);
      work.calls[0]![ending]('first');
      await settle();
      work.calls[1]!.resolve('second');

      expect(await caller).toBe('second');
      expect(seen).toEqual([false]);
      expect(work.count).toBe(2);
    },
  );

  test('of several continuations that execute again, the first leads and the others join', async () => {
    const { flights, work } = setupFlights();

    const callers = Array.from({ length: 5 }, () => flights.execute('k', work).then(() => flights.execute('k', work)));
    work.resolveAll('first');
    await settle();
    work.resolveAll('second');

    expect(new Set(await Promise.all(callers))).toEqual(new Set(['second']));
    expect(work.count).toBe(2);
  });

  test('a forgotten flight that ends leaves the new flight of its key alone', async () => {
    const { flights, work } = setupFlights();

    const old = flights.execute('k', work);
    flights.forget('k');
    const current = flights.execute('k', work);
    work.calls[0]!.resolve('old');
    const afterOld = await fates([old]);
    const joined = flights.execute('k', work);
    work.calls[1]!.resolve('new');

    expect(afterOld).toEqual([{ value: 'old' }]);
    expect(await Promise.all([current, joined])).toEqual(['new', 'new']);
    expect(work.count).toBe(2);
  });
});

describe('forget and clear', () => {
  test('subscribers of a forgotten flight still get its outcome, the next call leads a new one', async () => {
    const { flights, work } = setupFlights();

    const before = [flights.execute('k', work), flights.execute('k', work)];
    const known = flights.forget('k');
    const after = flights.execute('k', work);
    work.calls[1]!.resolve('new');
    work.calls[0]!.resolve('old');

    expect(known).toBe(true);
    expect(await Promise.all([...before, after])).toEqual(['old', 'old', 'new']);
  });

  test('forgetting a key without a flight does nothing and says so', () => {
    const { flights, events } = setupFlights();

    expect(flights.forget('k')).toBe(false);
    expect(events).toEqual([]);
  });

  test('clear forgets every flight', async () => {
    const { flights, work } = setupFlights();

    const before = ['a', 'b', 'c'].map((key) => flights.execute(key, work));
    flights.clear();
    const has = ['a', 'b', 'c'].map((key) => flights.has(key));
    work.resolveAll('old');

    expect(has).toEqual([false, false, false]);
    expect(await Promise.all(before)).toEqual(['old', 'old', 'old']);
  });

  test('forgotten flights still count as under way', () => {
    const { flights, work } = setupFlights();

    void flights.execute('k', work);
    flights.clear();

    expect(flights.getStats()).toMatchObject({ inFlightCount: 1, totalSubscribers: 1 });
  });
});

describe('maxDuration', () => {
  test('hung work times out by timer, with no new caller and at the deadline exactly', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });

    const callers = [flights.execute('k', work), flights.execute('k', work, { signal: new AbortController().signal })];
    clock.advance(99);
    const before = await fates(callers);
    clock.advance(1);
    const [leader, follower] = (await fates(callers)) as { readonly error: FlightTimeoutError }[];

    expect(before).toEqual(['pending', 'pending']);
    expect(leader!.error).toBeInstanceOf(FlightTimeoutError);
    expect(leader!.error).toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT', key: 'k', age: 100, maxDuration: 100 });
    expect(follower!.error).toBe(leader!.error);
    expect(flights.getStats()).toMatchObject({ timedOut: 1, inFlightCount: 0 });
  });

  test('the work is told by its signal, with the same error, when the key is already free', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });
    let freeByThen: boolean | undefined;

    const caller = flights.execute('k', work);
    const { signal } = work.calls[0]!;
    signal.addEventListener('abort', () => (freeByThen = !flights.has('k')));
    clock.advance(100);

    expect(signal.aborted).toBe(true);
    expect(freeByThen).toBe(true);
    expect(await fates([caller])).toEqual([{ error: signal.reason }]);
  });

  test('work that asks for its signal only after the timeout finds it aborted', async () => {
    const { flights, clock } = setupFlights({ maxDuration: 100 });
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: AbortSignal | undefined;

    const caller = flights.execute('k', async (flight) => {
      await promise;
      late = flight.signal;
    });
    clock.advance(100);
    resolve();
    const [fate] = await fates([caller]);

    expect(late!.aborted).toBe(true);
    expect(fate).toEqual({ error: late!.reason });
  });

  test.each(['resolve', 'reject'] as const)(
    'the late outcome is dropped silently and does not touch the next flight (%s)',
    async (ending) => {
      const { flights, clock, work, events } = setupFlights({ maxDuration: 100 });

      const first = flights.execute('k', work);
      clock.advance(100);
      const second = flights.execute('k', work);
      work.calls[0]![ending]('late');
      const between = await fates([first, second]);
      const seen = events.length;
      work.calls[1]!.resolve('second');

      expect(between).toEqual([{ error: expect.any(FlightTimeoutError) }, 'pending']);
      expect(seen).toBe(3);
      expect(await second).toBe('second');
      expect(flights.getStats()).toMatchObject({ led: 2, timedOut: 1, succeeded: 1, failed: 0 });
    },
  );

  test('forgotten and uncoalesced flights time out as well', async () => {
    let coalesce = true;
    const { flights, clock, work } = setupFlights({ maxDuration: 100, coalesce: () => coalesce });

    const forgotten = flights.execute('k', work);
    flights.forget('k');
    coalesce = false;
    const loose = flights.execute('k', work);
    clock.advance(100);

    expect(await fates([forgotten, loose])).toEqual([
      { error: expect.any(FlightTimeoutError) },
      { error: expect.any(FlightTimeoutError) },
    ]);
    expect(flights.getStats()).toMatchObject({ timedOut: 2, inFlightCount: 0 });
  });

  test('one timer serves all flights, each ends at its own deadline', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });

    const callers: Promise<unknown>[] = [];
    for (let index = 0; index < 1_000; index += 1) callers.push(flights.execute(`k${index}`, work));
    clock.advance(40);
    callers.push(flights.execute('later', work));
    const timers = clock.pending;
    clock.advance(60);
    const atFirst = await fates(callers);
    clock.advance(39);
    const beforeSecond = await fates([callers.at(-1)!]);
    clock.advance(1);

    expect(timers).toBe(1);
    expect(atFirst.filter((fate) => fate === 'pending')).toHaveLength(1);
    expect(beforeSecond).toEqual(['pending']);
    expect(await fates([callers.at(-1)!])).toEqual([{ error: expect.any(FlightTimeoutError) }]);
  });

  test('a timer left armed by flights that ended does not cut a later flight short', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });

    await flights.execute('quick', () => 'value');
    clock.advance(70);
    const slow = flights.execute('slow', work);
    clock.advance(30);
    const early = await fates([slow]);
    clock.advance(70);

    expect(early).toEqual(['pending']);
    expect(await fates([slow])).toEqual([{ error: expect.any(FlightTimeoutError) }]);
  });

  test('no timer stays armed for long when nothing flies', async () => {
    const { flights, clock } = setupFlights({ maxDuration: 100 });

    await flights.execute('k', () => 'value');
    clock.advance(100);

    expect(clock.pending).toBe(0);
  });

  test('the default is 30 seconds', async () => {
    const { flights, clock, work } = setupFlights();

    const caller = flights.execute('k', work);
    clock.advance(29_999);
    const before = await fates([caller]);
    clock.advance(1);

    expect(before).toEqual(['pending']);
    expect(await fates([caller])).toEqual([{ error: expect.objectContaining({ maxDuration: 30_000 }) }]);
  });

  test('Infinity arms no timer', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: Infinity });

    const caller = flights.execute('k', work);
    const timers = clock.pending;
    clock.advance(10_000_000_000);
    const fate = await fates([caller]);
    work.resolveAll('value');

    expect(timers).toBe(0);
    expect(fate).toEqual(['pending']);
    expect(await caller).toBe('value');
  });

  test('Infinity does not even ask the clock for a timer', async () => {
    const { clock, timers } = handFiredClock();
    const { flights } = setupFlights({ maxDuration: Infinity, clock });

    await flights.execute('k', () => 'value');

    expect(timers).toEqual([]);
  });

  test('a timer that fires early ends nothing and is set again for the rest', async () => {
    const { clock, timers, time } = handFiredClock();
    const { flights, work } = setupFlights({ maxDuration: 100, clock });

    const caller = flights.execute('k', work);
    time.is = 99.4;
    timers.shift()!.run();
    const early = await fates([caller]);
    const rest = timers[0]!.ms;
    time.is = 100;
    timers.shift()!.run();

    expect(early).toEqual(['pending']);
    expect(rest).toBeGreaterThanOrEqual(0.6);
    expect(rest).toBeLessThanOrEqual(1);
    expect(await fates([caller])).toEqual([{ error: expect.any(FlightTimeoutError) }]);
  });

  test('a timer that fires late ends all that are due, oldest first, and is set again for those that are not', async () => {
    const { clock, timers, time } = handFiredClock();
    const { flights, work, events } = setupFlights({ maxDuration: 100, clock });

    void flights.execute('a', work);
    time.is = 30;
    void flights.execute('b', work);
    time.is = 90;
    const last = flights.execute('c', work);
    time.is = 150;
    timers.shift()!.run();

    expect(events.filter(({ type }) => type === 'timeout')).toMatchObject([
      { key: 'a', durationMs: 150 },
      { key: 'b', durationMs: 120 },
    ]);
    expect(timers.map(({ ms }) => ms)).toEqual([40]);
    expect(await fates([last])).toEqual(['pending']);
    time.is = 190;
    timers.shift()!.run();
    expect(flights.getStats().timedOut).toBe(3);
  });

  test('listeners that lead new flights during a timeout get a deadline of their own', async () => {
    const { flights, clock, work } = setupFlights({
      maxDuration: 100,
      onEvent: ({ type }) => {
        if (type === 'timeout' && flights.getStats().led < 3) void flights.execute('k', work);
      },
    });

    void flights.execute('k', work);
    clock.advance(100);
    const second = { ...flights.getStats(), timers: clock.pending };
    clock.advance(100);
    clock.advance(100);

    expect(second).toMatchObject({ led: 2, timedOut: 1, inFlightCount: 1, timers: 1 });
    expect(flights.getStats()).toMatchObject({ led: 3, timedOut: 3, inFlightCount: 0 });
  });
});

describe('durations', () => {
  test.each([
    [1, 1],
    [0.5, 0.5],
    ['250ms', 250],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['3h', 10_800_000],
    ['7d', 604_800_000],
  ] as const)('%s lasts %d ms', (maxDuration, ms) => {
    const { clock, timers } = handFiredClock();
    const { flights } = setupFlights({ maxDuration, clock });

    void flights.execute('k', () => 'value');

    // No timer is set for less than a millisecond.
    expect(timers.map((timer) => timer.ms)).toEqual([Math.max(1, ms)]);
  });

  test.each([
    0,
    -1,
    NaN,
    -Infinity,
    null,
    true,
    10n,
    '',
    '10',
    '10 s',
    ' 10s',
    '-1s',
    '1e3s',
    '10S',
    '10sec',
    's',
    '0s',
    {},
    [10],
  ])('%o is none, and is not taken for the default', (maxDuration) => {
    expect(() => new Singleflight({ maxDuration: maxDuration as never })).toThrow(
      /^Expected `maxDuration` to be a duration > 0 or Infinity \(milliseconds or '10s'\), got /,
    );
  });
});

describe('maxSubscribers', () => {
  test('one caller too many is turned away, the others are untouched', async () => {
    const { flights, work } = setupFlights({ maxSubscribers: 2 });

    const seated = [flights.execute('k', work), flights.execute('k', work)];
    const [fate] = await fates([flights.execute('k', work)]);
    const stats = flights.getStats();
    work.resolveAll('value');

    expect(fate).toEqual({ error: expect.any(TooManySubscribersError) });
    expect(fate).toMatchObject({ error: { code: 'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS', key: 'k', maxSubscribers: 2 } });
    expect(stats).toMatchObject({ totalSubscribers: 2, joined: 1, rejected: 1 });
    expect(await Promise.all(seated)).toEqual(['value', 'value']);
    expect(work.count).toBe(1);
  });

  test('a subscriber that leaves makes room', async () => {
    const { flights, work } = setupFlights({ maxSubscribers: 2 });
    const controller = new AbortController();

    const callers = [flights.execute('k', work), flights.execute('k', work, { signal: controller.signal })];
    controller.abort('gone');
    callers.push(flights.execute('k', work));
    work.resolveAll('value');

    expect(await fates(callers)).toEqual([{ value: 'value' }, { error: 'gone' }, { value: 'value' }]);
  });

  test('followers that share one signal count one by one', async () => {
    const { flights, work } = setupFlights({ maxSubscribers: 3 });
    const { signal } = new AbortController();

    void flights.execute('k', work);
    void flights.execute('k', work, { signal });
    void flights.execute('k', work, { signal });

    expect(await fates([flights.execute('k', work, { signal })])).toEqual([
      { error: expect.any(TooManySubscribersError) },
    ]);
  });

  test('a limit of one turns every follower away', async () => {
    const { flights, work } = setupFlights({ maxSubscribers: 1 });

    void flights.execute('k', work);

    expect(await fates([flights.execute('k', work)])).toEqual([{ error: expect.any(TooManySubscribersError) }]);
    expect(work.count).toBe(1);
  });
});

describe('maxFlights', () => {
  test('one flight too many is turned away without running, joining is still allowed', async () => {
    const { flights, work } = setupFlights({ maxFlights: 2 });

    const callers = [flights.execute('a', work), flights.execute('b', work)];
    const [fate] = await fates([flights.execute('c', work)]);
    callers.push(flights.execute('a', work));
    work.resolveAll('value');

    expect(fate).toEqual({ error: expect.any(TooManyFlightsError) });
    expect(fate).toMatchObject({ error: { code: 'SOLOFLIGHT_TOO_MANY_FLIGHTS', key: 'c', maxFlights: 2 } });
    expect(flights.has('c')).toBe(false);
    expect(await Promise.all(callers)).toEqual(['value', 'value', 'value']);
    expect(flights.getStats()).toMatchObject({ led: 2, joined: 1, rejected: 1 });
  });

  test('forgotten and uncoalesced flights count, ended ones do not', async () => {
    const { flights, work } = setupFlights({ maxFlights: 1 });

    const forgotten = flights.execute('a', work);
    flights.forget('a');
    const refused = await fates([flights.execute('a', work)]);
    work.resolveAll('old');
    await forgotten;
    const next = flights.execute('a', work);
    work.resolveAll('new');

    expect(refused).toEqual([{ error: expect.any(TooManyFlightsError) }]);
    expect(await next).toBe('new');
  });
});

describe('work that executes its own key', () => {
  test('synchronous re-entrance rejects at once, and the outer call is not harmed', async () => {
    const { flights } = setupFlights();
    let inner: Promise<unknown> | undefined;

    const outer = flights.execute('k', () => {
      inner = flights.execute('k', () => 'inner');
      return 'outer';
    });

    expect(await fates([inner!])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
    expect(await outer).toBe('outer');
    expect(flights.getStats()).toMatchObject({ led: 1, joined: 0, rejected: 1 });
  });

  test('synchronous re-entrance through another key rejects at once', async () => {
    const { flights } = setupFlights();

    const outer = flights.execute('a', () => flights.execute('b', () => flights.execute('a', () => 'inner')));

    expect(await fates([outer])).toEqual([
      { error: expect.objectContaining({ code: 'SOLOFLIGHT_REENTRANT_FLIGHT', key: 'a' }) },
    ]);
  });

  test('synchronous re-entrance through another instance rejects at once', async () => {
    const [one, other] = [setupFlights().flights, setupFlights().flights];

    const outer = one.execute('a', () => other.execute('a', () => one.execute('a', () => 'inner')));

    expect(await fates([outer])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
  });

  test('synchronous re-entrance after another call inside the work rejects as well', async () => {
    const { flights } = setupFlights();

    const outer = flights.execute('a', () => {
      void flights.execute('b', () => 'other');
      return flights.execute('a', () => 'inner');
    });

    expect(await fates([outer])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
  });

  test('work that threw is no longer running: the next call of its key in the same tick joins', async () => {
    const { flights } = setupFlights();

    const first = flights.execute('k', () => {
      throw new Error('broken');
    });
    const second = flights.execute('k', () => 'value');

    expect(await fates([first, second])).toEqual([{ error: new Error('broken') }, { error: new Error('broken') }]);
  });

  test('across an await it is found through flight.execute', async () => {
    const { flights } = setupFlights();

    const outer = flights.execute('k', async (flight) => {
      await null;
      return flight.execute('k', () => 'inner');
    });

    expect(await fates([outer])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
  });

  test('across awaits A → B → A is found through flight.execute', async () => {
    const { flights } = setupFlights();

    const outer = flights.execute('a', async (a) => {
      await null;
      return a.execute('b', async (b) => {
        await null;
        return b.execute('a', () => 'inner');
      });
    });

    expect(await fates([outer])).toEqual([
      { error: expect.objectContaining({ code: 'SOLOFLIGHT_REENTRANT_FLIGHT', key: 'a' }) },
    ]);
  });

  test('two flights led independently that wait for each other: the second to ask is refused', async () => {
    const { flights } = setupFlights();
    const crossing = (other: string) => async (flight: FlightContext) => {
      await null;
      return flight.execute(other, () => 'never');
    };

    const callers = [flights.execute('a', crossing('b')), flights.execute('b', crossing('a'))];

    expect(await fates(callers)).toEqual([
      { error: expect.any(ReentrantFlightError) },
      { error: expect.any(ReentrantFlightError) },
    ]);
    expect(flights.getStats()).toMatchObject({ led: 2, joined: 1, rejected: 1 });
  });

  test('a ring of many flights is found however long it is', async () => {
    const { flights } = setupFlights();
    const length = 20_000;

    const outer = flights.execute('0', function next(flight: FlightContext): Promise<string> {
      const key = String((Number(flight.key) + 1) % length);
      return Promise.resolve().then(() => flight.execute(key, next));
    });
    for (let turns = 0; turns < length * 10 && flights.getStats().rejected === 0; turns += 1) await null;

    expect(flights.getStats()).toMatchObject({ led: length, rejected: 1 });
    for (let turns = 0; turns < length * 10 && flights.getStats().inFlightCount > 0; turns += 1) await null;
    expect(await fates([outer])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
  });

  test('it is found through AsyncLocalStorage with plain calls', async () => {
    const { flights } = setupFlights({ asyncContext: new AsyncLocalStorage() });

    const outer = flights.execute('a', async () => {
      await null;
      return flights.execute('b', async () => {
        await null;
        return flights.execute('a', () => 'inner');
      });
    });

    expect(await fates([outer])).toEqual([
      { error: expect.objectContaining({ code: 'SOLOFLIGHT_REENTRANT_FLIGHT', key: 'a' }) },
    ]);
  });

  test('it is found through AsyncLocalStorage across instances that share it', async () => {
    const asyncContext = new AsyncLocalStorage();
    const [one, other] = [setupFlights({ asyncContext }).flights, setupFlights({ asyncContext }).flights];

    const outer = one.execute('a', async () => {
      await null;
      return other.execute('a', async () => {
        await null;
        return one.execute('a', () => 'inner');
      });
    });

    expect(await fates([outer])).toEqual([{ error: expect.any(ReentrantFlightError) }]);
  });

  test('undetected, it ends at maxDuration', async () => {
    const { flights, clock } = setupFlights({ maxDuration: 100 });

    const outer = flights.execute('k', async () => {
      await null;
      return flights.execute('k', () => 'inner');
    });
    await settle();
    clock.advance(100);

    expect(await fates([outer])).toEqual([{ error: expect.any(FlightTimeoutError) }]);
  });
});

describe.each([
  ['flight.execute', (): { readonly asyncContext?: AsyncLocalStorage<unknown> } => ({})],
  ['AsyncLocalStorage', () => ({ asyncContext: new AsyncLocalStorage<unknown>() })],
])('nested work that waits for nobody in a ring, through %s', (_, options) => {
  test('calls of one key after another are allowed', async () => {
    const { flights } = setupFlights(options());

    const outer = flights.execute('a', async (flight) => {
      const values: unknown[] = [];
      for (let index = 0; index < 3; index += 1) values.push(await flight.execute('b', async () => index));
      return values;
    });

    expect(await fates([outer])).toEqual([{ value: [0, 1, 2] }]);
  });

  test('two branches that meet in one key share it', async () => {
    const { flights, work } = setupFlights(options());
    const branch = async (flight: FlightContext): Promise<string> => {
      await null;
      return flight.execute('shared', work);
    };

    const outer = flights.execute('top', (flight) =>
      Promise.all([flight.execute('left', branch), flight.execute('right', branch)]),
    );
    await settle();
    const runs = work.count;
    work.resolveAll('value');

    expect(await fates([outer])).toEqual([{ value: ['value', 'value'] }]);
    expect(runs).toBe(1);
  });

  test('parts shared at every level are found harmless in no time', async () => {
    const { flights } = setupFlights(options());
    const depth = 40;
    const fibonacci = async (flight: FlightContext): Promise<number> => {
      const n = Number(flight.key);
      if (n < 2) return n;
      await null;
      const [one, two] = await Promise.all([
        flight.execute(String(n - 1), fibonacci),
        flight.execute(String(n - 2), fibonacci),
      ]);
      return one + two;
    };

    const outer = flights.execute(String(depth), fibonacci);
    for (let turns = 0; turns < 10_000 && flights.getStats().inFlightCount > 0; turns += 1) await null;

    expect(await outer).toBe(102_334_155);
    expect(flights.getStats()).toMatchObject({ led: depth + 1, rejected: 0 });
  });

  test('a key that was forgotten is led anew by its own work', async () => {
    const { flights } = setupFlights(options());

    const outer = flights.execute('k', async (flight) => {
      await null;
      flights.forget('k');
      return flight.execute('k', async () => 'inner');
    });

    expect(await fates([outer])).toEqual([{ value: 'inner' }]);
  });

  test('a call made after its flight ended joins like any other', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100, ...options() });
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: Promise<unknown> | undefined;

    void flights.execute('k', async (flight) => {
      await promise;
      late = flight.execute('k', () => 'not run');
    });
    clock.advance(100);
    const second = flights.execute('k', work);
    resolve();
    await settle();
    work.resolveAll('second');

    expect(await fates([second, late!])).toEqual([{ value: 'second' }, { value: 'second' }]);
  });

  test('a call in the very tick in which its flight timed out joins one that waited for it', async () => {
    const { flights, clock } = setupFlights({ maxDuration: 100, ...options() });
    let inner: Promise<unknown> | undefined;

    void flights.execute('first', async (flight) => {
      await null;
      flight.signal.addEventListener('abort', () => void (inner = flight.execute('second', () => 'not run')));
      return never;
    });
    await settle();
    clock.advance(50);
    void flights.execute('second', async (flight) => {
      await flight.execute('first', () => never).catch(() => {});
      return 'second';
    });
    await settle();
    clock.advance(50);

    expect(await fates([inner!])).toEqual([{ value: 'second' }]);
  });

  test('work that stopped waiting for another flight may be waited for by it', async () => {
    const { flights, work } = setupFlights(options());
    const controller = new AbortController();

    const a = flights.execute('a', async (flight) => {
      await null;
      await flight.execute('b', () => never, { signal: controller.signal }).catch(() => 'left');
      return flight.execute('c', work);
    });
    const b = flights.execute('b', async (flight) => {
      await null;
      await settle();
      return flight.execute('a', () => 'not run');
    });
    await null;
    await null;
    controller.abort();
    await settle();
    work.resolveAll('value');

    expect(await fates([a, b])).toEqual([{ value: 'value' }, { value: 'value' }]);
    expect(flights.getStats().rejected).toBe(0);
  });

  test('work that gave up one of two waits for a flight still waits for it', async () => {
    const { flights } = setupFlights({ maxDuration: 100, ...options() });
    const controller = new AbortController();

    const a = flights.execute('a', async (flight) => {
      await null;
      const kept = flight.execute('b', () => never);
      await flight.execute('b', () => never, { signal: controller.signal }).catch(() => 'left');
      return kept;
    });
    const b = flights.execute('b', async (flight) => {
      await null;
      await settle();
      return flight.execute('a', () => 'not run');
    });
    await settle();
    controller.abort();

    expect(await fates([a, b])).toEqual([
      { error: expect.any(ReentrantFlightError) },
      { error: expect.any(ReentrantFlightError) },
    ]);
  });

  test('a flight that has ended in this very tick waits for nobody', async () => {
    const { flights, clock } = setupFlights({
      maxDuration: 100,
      onEvent: ({ type, key }) => {
        if (type === 'timeout' && key === 'middle') call?.();
      },
      ...options(),
    });
    let call: (() => void) | undefined;
    let inner: Promise<unknown> | undefined;

    // The middle flight starts another one and does not wait for it; that one calls back to the first.
    void flights.execute('middle', async (flight) => {
      await null;
      flight
        .execute('last', (last) => {
          call = () => void (inner = last.execute('first', () => 'not run'));
          return never;
        })
        .catch(() => {});
      return never;
    });
    await settle();
    clock.advance(50);
    void flights.execute('first', async (flight) => {
      await null;
      await flight.execute('middle', () => never).catch(() => {});
      return 'first';
    });
    await settle();
    clock.advance(50);

    expect(await fates([inner!])).toEqual([{ value: 'first' }]);
  });
});

describe('the switch for coalescing', () => {
  test('off, every call runs its own work and is counted as such', async () => {
    const { flights, work } = setupFlights({ coalesce: false });

    const callers = [flights.execute('k', work), flights.execute('k', work), flights.execute('k', work)];
    const before = { has: flights.has('k'), ...flights.getStats() };
    work.calls.forEach((call, index) => call.resolve(`value ${index}`));

    expect(before).toMatchObject({
      has: false,
      inFlightCount: 3,
      totalSubscribers: 3,
      led: 3,
      joined: 0,
      coalescingRatio: 0,
    });
    expect(await Promise.all(callers)).toEqual(['value 0', 'value 1', 'value 2']);
    expect(flights.getStats()).toMatchObject({ succeeded: 3, inFlightCount: 0 });
  });

  test('on as a boolean or a function, calls coalesce', () => {
    const [one, other] = [setupFlights({ coalesce: true }), setupFlights({ coalesce: () => true })];

    for (const { flights, work } of [one, other])
      for (let call = 0; call < 2; call += 1) void flights.execute('k', work);

    expect([one.work.count, other.work.count]).toEqual([1, 1]);
  });

  test('flipped while flights are under way, it changes who may join and nobody’s outcome', async () => {
    let coalesce = true;
    const { flights, work } = setupFlights({ coalesce: () => coalesce });
    const seen: boolean[] = [];
    const call = (on: boolean): Promise<string> => {
      coalesce = on;
      seen.push(flights.has('k'));
      return flights.execute('k', work);
    };

    const callers = [call(true), call(false), call(true), call(false)];
    work.calls.forEach((own, index) => own.resolve(`value ${index}`));

    expect(seen).toEqual([false, false, true, false]);
    expect(await Promise.all(callers)).toEqual(['value 0', 'value 1', 'value 0', 'value 2']);
    expect(flights.getStats()).toMatchObject({ led: 3, joined: 1 });
  });

  test('a flight led while it was off is joined by nobody afterwards', async () => {
    let coalesce = false;
    const { flights, work } = setupFlights({ coalesce: () => coalesce });

    void flights.execute('k', work);
    coalesce = true;
    void flights.execute('k', work);
    void flights.execute('k', work);

    expect(work.count).toBe(2);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('flag service down');
      },
    ],
    ['answers nothing', () => undefined],
  ])('a switch that %s lets no stampede through', async (_, coalesce) => {
    const { flights, work } = setupFlights({ coalesce: coalesce as unknown as () => boolean });

    const callers = [flights.execute('k', work), flights.execute('k', work)];
    work.resolveAll('value');

    expect(await Promise.all(callers)).toEqual(['value', 'value']);
    expect(work.count).toBe(1);
  });

  test('a switch that answers differently each time pushes no flight off the record', async () => {
    const answers: boolean[] = [];
    const { flights, work } = setupFlights({ coalesce: () => answers.shift() ?? true });

    const first = flights.execute('k', work);
    // Off when the flight is looked for, on when the new one is recorded.
    answers.push(false, true);
    const second = flights.execute('k', work);
    const third = flights.execute('k', work);
    work.calls.forEach((call, index) => call.resolve(`value ${index}`));

    expect(await Promise.all([first, second, third])).toEqual(['value 0', 'value 1', 'value 0']);
  });
});

describe('join', () => {
  test('tells the leader from followers and gives both the outcome', async () => {
    const { flights, work } = setupFlights();

    const calls = [flights.join('k', work), flights.join('k', work), flights.join('other', work)];
    work.resolveAll('value');

    expect(calls.map(({ role }) => role)).toEqual(['leader', 'follower', 'leader']);
    expect(await Promise.all(calls.map(({ result }) => result))).toEqual(['value', 'value', 'value']);
  });

  test('every caller leads while coalescing is off or its key was forgotten', () => {
    let coalesce = true;
    const { flights, work } = setupFlights({ coalesce: () => coalesce });

    const roles = [flights.join('k', work).role];
    flights.forget('k');
    roles.push(flights.join('k', work).role);
    coalesce = false;
    roles.push(flights.join('k', work).role);

    expect(roles).toEqual(['leader', 'leader', 'leader']);
    expect(work.count).toBe(3);
  });

  test('the role is right although the switch answers differently each time', async () => {
    const answers: boolean[] = [];
    const { flights, work } = setupFlights({ coalesce: () => answers.shift() ?? true });

    void flights.execute('k', work);
    answers.push(true, false, false);
    const { role } = flights.join('k', work);

    expect({ role, runs: work.count }).toEqual({ role: 'follower', runs: 1 });
  });

  test('a call turned away still has a promise that rejects', async () => {
    const { flights, work } = setupFlights({ maxSubscribers: 1 });

    void flights.execute('k', work);

    expect(await fates([flights.join('k', work).result])).toEqual([{ error: expect.any(TooManySubscribersError) }]);
  });
});

describe('events', () => {
  test('a flight that succeeds: lead, join, settle', async () => {
    const { flights, clock, work, events } = setupFlights();

    void flights.execute('k', work);
    void flights.execute('k', work);
    clock.advance(5);
    work.resolveAll('value');
    await settle();

    expect(events).toEqual([
      { type: 'lead', key: 'k' },
      { type: 'join', key: 'k', subscribers: 2 },
      { type: 'settle', key: 'k', outcome: 'succeeded', durationMs: 5, subscribers: 2 },
    ]);
  });

  test('a flight that fails: lead, settle', async () => {
    const { flights, clock, work, events } = setupFlights();

    void flights.execute('k', work);
    clock.advance(7);
    work.rejectAll('reason');
    await settle();

    expect(events).toEqual([
      { type: 'lead', key: 'k' },
      { type: 'settle', key: 'k', outcome: 'failed', durationMs: 7, subscribers: 1 },
    ]);
  });

  test('a flight that times out: lead, timeout, and nothing for its late outcome', async () => {
    const { flights, clock, work, events } = setupFlights({ maxDuration: 100 });

    void flights.execute('k', work);
    clock.advance(100);
    work.resolveAll('late');
    await settle();

    expect(events).toEqual([
      { type: 'lead', key: 'k' },
      { type: 'timeout', key: 'k', durationMs: 100, subscribers: 1 },
    ]);
  });

  test('a flight all left: lead, abort; one that some left settles for the rest', async () => {
    const { flights, clock, work, events } = setupFlights();
    const controller = new AbortController();

    void flights.execute('left', work, { signal: controller.signal });
    void flights.execute('kept', work, { signal: controller.signal });
    void flights.execute('kept', work);
    clock.advance(3);
    controller.abort();
    work.resolveAll('value');
    await settle();

    expect(events).toEqual([
      { type: 'lead', key: 'left' },
      { type: 'lead', key: 'kept' },
      { type: 'join', key: 'kept', subscribers: 2 },
      { type: 'abort', key: 'left', durationMs: 3 },
      { type: 'settle', key: 'kept', outcome: 'succeeded', durationMs: 3, subscribers: 1 },
    ]);
  });

  test('calls turned away: reject with the code', async () => {
    const { flights, work, events } = setupFlights({ maxSubscribers: 1, maxFlights: 1 });

    void flights.execute('k', (flight) => {
      void flights.execute('k', work);
      return work(flight);
    });
    void flights.execute('k', work);
    void flights.execute('other', work);

    expect(events).toEqual([
      { type: 'lead', key: 'k' },
      { type: 'reject', key: 'k', code: 'SOLOFLIGHT_REENTRANT_FLIGHT' },
      { type: 'reject', key: 'k', code: 'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS' },
      { type: 'reject', key: 'other', code: 'SOLOFLIGHT_TOO_MANY_FLIGHTS' },
    ]);
  });

  test('forget and clear: forget, and still the end', async () => {
    const { flights, work, events } = setupFlights();

    void flights.execute('a', work);
    void flights.execute('b', work);
    flights.forget('a');
    flights.clear();
    work.resolveAll('value');
    await settle();

    expect(events.map(({ type, key }) => `${type} ${key}`)).toEqual([
      'lead a',
      'lead b',
      'forget a',
      'forget b',
      'settle a',
      'settle b',
    ]);
  });

  test('a listener that throws at every event changes nothing', async () => {
    let heard = 0;
    const { flights, clock, work } = setupFlights({
      maxDuration: 100,
      maxSubscribers: 2,
      onEvent: () => {
        heard += 1;
        throw new Error('listener broken');
      },
    });
    const controller = new AbortController();

    const callers = [flights.execute('a', work), flights.execute('a', work), flights.execute('a', work)];
    callers.push(flights.execute('b', work, { signal: controller.signal }));
    controller.abort('left');
    work.calls[0]!.resolve('value');
    const settled = await fates(callers);
    const hung = flights.execute('c', work);
    flights.forget('c');
    clock.advance(100);

    expect(settled).toEqual([
      { value: 'value' },
      { value: 'value' },
      { error: expect.any(TooManySubscribersError) },
      { error: 'left' },
    ]);
    expect(await fates([hung])).toEqual([{ error: expect.any(FlightTimeoutError) }]);
    expect(heard).toBe(9);
  });

  test('a listener that executes again when a flight ends leads a new flight', async () => {
    const { flights, work } = setupFlights({
      onEvent: ({ type }) => {
        if (type === 'settle' && again === undefined) again = flights.execute('k', work);
      },
    });
    let again: Promise<string> | undefined;

    const first = flights.execute('k', work);
    work.resolveAll('first');
    await settle();
    work.resolveAll('second');

    expect(await Promise.all([first, again])).toEqual(['first', 'second']);
  });
});

describe('getStats', () => {
  test('starts at zero', () => {
    expect(new Singleflight().getStats()).toEqual({
      ...{ inFlightCount: 0, totalSubscribers: 0, oldestCallAge: null },
      ...{ led: 0, joined: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, rejected: 0, coalescingRatio: 0 },
    });
  });

  test('counts every way a flight can end, once', async () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });
    const controller = new AbortController();

    for (const key of ['succeeds', 'fails', 'hangs']) void flights.execute(key, work);
    void flights.execute('is left', work, { signal: controller.signal });
    for (let follower = 0; follower < 6; follower += 1) void flights.execute('succeeds', work);
    work.calls[0]!.resolve('value');
    work.calls[1]!.reject('reason');
    controller.abort();
    await settle();
    clock.advance(100);

    expect(flights.getStats()).toEqual({
      ...{ inFlightCount: 0, totalSubscribers: 0, oldestCallAge: null },
      ...{ led: 4, joined: 6, succeeded: 1, failed: 1, timedOut: 1, aborted: 1, rejected: 0, coalescingRatio: 0.6 },
    });
  });

  test('oldestCallAge follows the oldest flight still under way, forgotten or not', async () => {
    const { flights, clock, work } = setupFlights();
    const ages = [flights.getStats().oldestCallAge];

    void flights.execute('a', work);
    clock.advance(10);
    void flights.execute('b', work);
    clock.advance(10);
    void flights.execute('c', work);
    flights.forget('a');
    ages.push(flights.getStats().oldestCallAge);
    for (const call of [1, 0, 2]) {
      work.calls[call]!.resolve('value');
      await settle();
      ages.push(flights.getStats().oldestCallAge);
    }

    expect(ages).toEqual([null, 20, 20, 0, null]);
  });

  test('a jump of the wall clock makes no flight older', () => {
    const { flights, clock, work } = setupFlights({ maxDuration: 100 });

    void flights.execute('k', work);
    clock.jump(86_400_000);
    clock.advance(5);

    expect(flights.getStats()).toMatchObject({ oldestCallAge: 5, inFlightCount: 1 });
  });
});

describe('what work is told', () => {
  test('key, number of subscribers and start', async () => {
    const { flights, clock } = setupFlights();
    let context: FlightContext | undefined;
    const startedAt = clock.now();

    void flights.execute('k', (flight) => {
      context = flight;
      return never;
    });
    void flights.execute('k', () => never);
    clock.advance(25);

    expect({ key: context!.key, subscribers: context!.subscribers, startedAt: context!.startedAt }).toEqual({
      key: 'k',
      subscribers: 2,
      startedAt,
    });
    clock.advance(100_000);
  });

  test('the start does not move when the wall clock jumps', async () => {
    const { flights, clock } = setupFlights();
    const seen: number[] = [];

    await flights.execute('k', (flight) => {
      seen.push(flight.startedAt);
      clock.jump(3_600_000);
      seen.push(flight.startedAt);
    });

    expect(seen[1]).toBe(seen[0]);
  });

  test('its parts work when taken apart', async () => {
    const { flights } = setupFlights();

    const value = await flights.execute('k', ({ key, signal, execute }) =>
      execute(`${key}:${signal.aborted}`, (inner) => inner.key),
    );

    expect(value).toBe('k:false');
  });
});

describe('keys', () => {
  test.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    ' ',
    '\0',
    '\ud800',
    'ключ',
    '💡'.repeat(1_000),
  ])('%j is an ordinary key', async (key) => {
    const { flights, work } = setupFlights();

    const before = flights.has(key);
    const callers = [flights.execute(key, work), flights.execute(key, work), flights.execute(`${key}!`, work)];
    const has = flights.has(key);
    work.calls.forEach((call) => call.resolve(call.key));

    expect([before, has]).toEqual([false, true]);
    expect(await Promise.all(callers)).toEqual([key, key, `${key}!`]);
    expect(flights.has(key)).toBe(false);
  });

  test('anything a Map takes will do: each is its own, NaN is itself, and -0 is 0', async () => {
    const [object, twin, symbol, fn] = [{}, {}, Symbol('key'), () => {}];
    const flights = new Singleflight<unknown>();
    const keys = [object, twin, symbol, Symbol('key'), fn, NaN, 0, 1n, 1, '1', true, null, undefined];

    const first = keys.map((key) => flights.join(key, async () => key));
    const second = keys.map((key) => flights.join(Object.is(key, 0) ? -0 : key, async () => 'not run'));

    expect(first.every(({ role }) => role === 'leader')).toBe(true);
    expect(second.every(({ role }) => role === 'follower')).toBe(true);
    expect(await Promise.all(second.map(({ result }) => result))).toEqual(keys);
    expect(keys.some((key) => flights.has(key))).toBe(false);
    expect(flights.getStats()).toMatchObject({ inFlightCount: 0, led: keys.length, joined: keys.length });
  });

  test('a flight led with -0 is off the record when it ends', async () => {
    const flights = new Singleflight<number>();

    await flights.execute(-0, () => 'value');

    expect([flights.has(0), flights.has(-0), flights.forget(0)]).toEqual([false, false, false]);
  });

  test('keys that are no strings can be named in errors', async () => {
    const flights = new Singleflight<unknown>({ maxSubscribers: 1 });
    const keys = [Symbol('secret'), Object.create(null) as object, NaN, null, undefined, 1n];

    for (const key of keys) void flights.execute(key, () => 'value');
    const outcomes = await fates(keys.map((key) => flights.execute(key, () => 'value')));

    expect(outcomes).toEqual(keys.map(() => ({ error: expect.any(TooManySubscribersError) })));
  });
});

/** A clock whose timers fire when the test says so, however wrong that is. */
function handFiredClock(): {
  readonly clock: Clock;
  readonly timers: { readonly ms: number; readonly run: () => void }[];
  readonly time: { is: number };
} {
  const timers: { readonly ms: number; readonly run: () => void }[] = [];
  const time = { is: 0 };
  const clock: Clock = {
    now: () => 1_700_000_000_000 + time.is,
    monotonic: () => time.is,
    after: (ms, run) => {
      timers.push({ ms, run });
      return () => {};
    },
    random: () => 0.5,
  };
  return { clock, timers, time };
}

function unreadable(): Promise<string> {
  const promise = Promise.resolve('value');
  void Object.defineProperty(promise, 'constructor', {
    get: () => {
      throw 'unreadable';
    },
  });
  return promise;
}
