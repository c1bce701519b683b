import { describe, expect, test } from 'vitest';

import { CacheFlights } from '../../src/flights/cache-flights.js';
import type { FlightHooks } from '../../src/flights/flight-map.js';
import type { Flight } from '../../src/flights/flight.js';
import { resolveFlightOptions, type SingleflightOptions } from '../../src/flights/options.js';
import { manualClock } from '../../src/testing/index.js';
import { fates, settle } from '../support/setup-flights.js';

type OwnFlight = Flight<string, string>;

const never = new Promise<never>(() => {});

function setup(options: SingleflightOptions = {}, hooks: Partial<FlightHooks<string, string>> = {}) {
  const clock = manualClock();
  const map = new CacheFlights<string, string>(resolveFlightOptions({ clock, maxDuration: 100, ...options }));
  map.attend(hooks);
  const lead = (
    key: string,
    work: () => string | Promise<string> = () => never,
  ): { flight: OwnFlight; result: Promise<string> } => {
    const flight = map.open(key, undefined) as OwnFlight;
    const result = map.subscribe(flight);
    map.start(flight, work);
    return { flight, result };
  };
  return { clock, map, lead };
}

describe('work that enters its own flight again', () => {
  test('does not become its own caller, which would make the search for re-entrance endless', () => {
    const { map, lead } = setup();
    const { flight: other } = lead('other');
    const seen: unknown[] = [];

    const flight = map.open('k', undefined) as OwnFlight;
    map.start(flight, () =>
      map.within(flight, () => {
        seen.push(flight.calledFrom);
        // Unless the first holds, this never comes back.
        if (flight.calledFrom === undefined) seen.push(map.join(other), map.join(flight)?.code);
        return never;
      }),
    );

    expect(seen).toEqual([undefined, undefined, 'SOLOFLIGHT_REENTRANT_FLIGHT']);
    expect(map.join(flight)).toBeUndefined();
  });
});

describe('fencing', () => {
  test('takes a flight off the map, and its subscribers still get its outcome', async () => {
    const { map, lead } = setup();
    const { promise, resolve } = Promise.withResolvers<string>();

    const { flight, result } = lead('k', () => promise);
    const { flight: other } = lead('other');
    map.fence('k');
    resolve('value');

    expect([flight.fenced, other.fenced]).toEqual([true, false]);
    expect([map.find('k'), map.flying('k'), map.find('other')]).toEqual([undefined, undefined, other]);
    expect(await result).toBe('value');
  });

  test('reaches every flight of the key, also those that nobody may join', () => {
    let coalesce = true;
    const { map, lead } = setup({ coalesce: () => coalesce });

    const flights = [lead('k').flight];
    coalesce = false;
    flights.push(lead('k').flight, lead('k').flight, lead('other').flight);
    const flying = map.flying('other');
    map.fence('k');

    expect(flights.map(({ fenced }) => fenced)).toEqual([true, true, true, false]);
    expect(flying).toBe(flights[3]);
    expect(map.flying('k')).toBeUndefined();
  });

  test('reaches a flight whose key was led again by a switch that answers differently each time', () => {
    const answers = [true, false, true];
    const { map, lead } = setup({ coalesce: () => answers.shift() ?? true });

    const { flight: first } = lead('k');
    const found = map.find('k');
    const { flight: second } = lead('k');
    map.fence('k');

    expect(found).toBeUndefined();
    expect([first.fenced, second.fenced]).toEqual([true, true]);
  });

  test('all reaches all', () => {
    let coalesce = true;
    const { map, lead } = setup({ coalesce: () => coalesce });

    const flights = [lead('a').flight, lead('b').flight];
    map.forget('a');
    coalesce = false;
    flights.push(lead('b').flight);
    map.fenceAll();

    expect(flights.map(({ fenced }) => fenced)).toEqual([true, true, true]);
    expect(map.flying('b')).toBeUndefined();
    expect(map.live).toBe(3);
  });

  test('a result about to be published fences the flights of its key that began earlier, and no others', () => {
    const { map, lead } = setup({ coalesce: false });

    const [first, other, second, third] = [lead('k').flight, lead('other').flight, lead('k').flight, lead('k').flight];
    map.supersede(second);

    expect([first, other, second, third].map(({ fenced }) => fenced)).toEqual([true, false, false, false]);
  });
});

describe('uncoalesced flights', () => {
  test('are off the books once they end', async () => {
    const { map, lead } = setup({ coalesce: false });

    const results = [lead('k', () => 'one').result, lead('k', () => 'two').result];
    const during = map.flying('k') !== undefined;
    await Promise.all(results);

    expect(during).toBe(true);
    expect(map.flying('k')).toBeUndefined();
    expect(map.live).toBe(0);
  });
});

describe('what the owner says when a flight ends', () => {
  test('a rescue stands in for the timeout error, and the work is told all the same', async () => {
    const order: string[] = [];
    const { clock, map, lead } = setup(
      {},
      {
        rescue: (flight, error) => {
          order.push(`rescue ${flight.key} ${error.code} ${map.find('k') === undefined}`);
          return 'stored value';
        },
        ended: (flight) => void order.push(`ended ${flight.end}`),
      },
    );

    const { flight, result } = lead('k');
    void result.then(() => order.push('subscriber'));
    clock.advance(100);

    expect(await result).toBe('stored value');
    expect(flight.signal.aborted).toBe(true);
    expect(order).toEqual(['rescue k SOLOFLIGHT_FLIGHT_TIMEOUT true', 'ended timedOut', 'subscriber']);
  });

  test('a rescue that throws gives subscribers its error, and the end is told all the same', async () => {
    const order: string[] = [];
    const { clock, lead } = setup(
      {},
      {
        rescue: () => {
          throw 'no fallback';
        },
        ended: ({ end }) => void order.push(`ended ${end}`),
      },
    );

    const { result } = lead('k');
    clock.advance(100);

    expect(await fates([result])).toEqual([{ error: 'no fallback' }]);
    expect(order).toEqual(['ended timedOut']);
  });

  test('the end is told once per flight, with the key free and before subscribers run', async () => {
    const order: string[] = [];
    const { map, lead } = setup(
      {},
      {
        rescue: () => 'not called',
        ended: ({ key, end }) => void order.push(`${key} ${end} ${map.find(key) === undefined}`),
      },
    );
    const controller = new AbortController();

    const [good, bad] = [lead('good', () => 'value'), lead('bad', () => Promise.reject('reason'))];
    void good.result.then(() => order.push('subscriber'));
    bad.result.catch(() => {});
    const left = map.open('left', undefined) as OwnFlight;
    map.subscribe(left, controller.signal).catch(() => {});
    controller.abort();
    await settle();

    expect(order).toEqual(['left aborted true', 'good succeeded true', 'bad failed true', 'subscriber']);
  });
});

describe('waiting until nothing flies', () => {
  test('resolves at once when nothing does, else when the last flight ended, failed or not', async () => {
    const { map, lead } = setup();
    const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];

    await map.idle();
    lead('a', () => first.promise).result.catch(() => {});
    void lead('b', () => second.promise).result;
    map.forget('a');
    const idle = map.idle();
    second.resolve('value');
    const between = await fates([idle]);
    first.reject('reason');

    expect(between).toEqual(['pending']);
    expect(await fates([idle])).toEqual([{ value: undefined }]);
  });

  test('rest cancels the timer, but only when nothing flies', async () => {
    const { clock, map, lead } = setup();
    const { promise, resolve } = Promise.withResolvers<string>();

    const { result } = lead('k', () => promise);
    map.rest();
    const during = clock.pending;
    resolve('value');
    await result;
    map.rest();
    const after = clock.pending;
    void lead('k').result;

    expect([during, after, clock.pending]).toEqual([1, 0, 1]);
  });
});
