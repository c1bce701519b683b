import { describe, expect, test } from 'vitest';

import { mapStorage, TieredCache, type CacheEvent } from '../../src/index.js';
import { chaos, manualClock, scriptedUpstream } from '../../src/testing/index.js';
import { settle } from '../support/setup-cache.js';

type FlightEvent = Extract<CacheEvent, { type: 'flight' }>;
type StorageEvent = Extract<CacheEvent, { type: 'storage' }>;

describe('the event of flights', () => {
  test('tells lead and join in the ticks of their calls, and the end with its figures', async () => {
    const clock = manualClock();
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '1s', clock, upstream });
    const events: FlightEvent[] = [];
    cache.on('flight', (event) => events.push(event));

    const first = cache.get('a');
    const led = events.length;
    const second = cache.get('a');
    const joined = events.length;
    await clock.advance(250);
    upstream.calls[0]!.resolve('v');
    await Promise.all([first, second]);

    expect([led, joined]).toEqual([1, 2]);
    const { flight } = events[0]!;
    expect(events).toEqual([
      { type: 'flight', phase: 'lead', key: 'a', flight, reason: 'miss' },
      { type: 'flight', phase: 'join', key: 'a', flight, subscribers: 2 },
      {
        ...{ type: 'flight', phase: 'settle', key: 'a', flight, reason: 'miss', outcome: 'ok' },
        ...{ loaded: true, fallback: false, subscribers: 2, durationMs: 250 },
      },
    ]);
  });

  test('a flight that an invalidation has detached ends under its own number, not that of its successor', async () => {
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '1s', upstream });
    const events: FlightEvent[] = [];
    cache.on('flight', (event) => events.push(event));

    const old = cache.get('a');
    await cache.invalidate('a');
    const young = cache.get('a');
    upstream.calls[0]!.resolve('old');
    await old;
    upstream.calls[1]!.resolve('young');
    await young;

    const [first, second] = events.filter(({ phase }) => phase === 'lead').map(({ flight }) => flight);
    expect(first).not.toBe(second);
    expect(events.filter(({ phase }) => phase === 'settle').map(({ flight }) => flight)).toEqual([first, second]);
  });

  test.each([
    ['error', { maxDuration: '1m' }],
    ['timeout', { maxDuration: 10 }],
  ] as const)('ends with %s', async (outcome, options) => {
    const clock = manualClock();
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '1s', clock, upstream, ...options });
    const ends: unknown[] = [];
    cache.on('flight', (event) => event.phase === 'settle' && ends.push(event.outcome));

    const read = cache.get('a').catch(() => {});
    if (outcome === 'timeout') await clock.advance(20);
    else upstream.calls[0]!.reject(new Error('no'));
    await read;

    expect(ends).toEqual([outcome]);
  });
});

describe('the event of storage', () => {
  test('tells hits, misses and writes with their duration', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', memory: false, storage: mapStorage(), upstream: () => 'v' });
    const events: StorageEvent[] = [];
    cache.on('storage', (event) => events.push(event));

    await cache.get('a');
    await cache.idle();
    await cache.get('a');

    const gets = events.filter(({ operation }) => operation === 'get').map(({ outcome }) => outcome);
    expect(gets[0]).toBe('miss');
    expect(gets).toContain('hit');
    expect(events.some(({ operation, outcome }) => operation === 'set' && outcome === 'ok')).toBe(true);
    expect(events.every(({ tier, durationMs }) => tier === 'map' && durationMs >= 0)).toBe(true);
  });

  test('tells a failure and a hang apart', async () => {
    const clock = manualClock();
    const tier = chaos(mapStorage());
    const cache = new TieredCache<string>({
      ttl: '1m',
      clock,
      readTimeout: 100,
      memory: false,
      storage: tier,
      upstream: () => 'v',
    });
    const outcomes: string[] = [];
    cache.on('storage', ({ operation, outcome }) => operation.startsWith('get') && outcomes.push(outcome));

    tier.failNext('get');
    await cache.get('a');
    tier.hang('all');
    const read = cache.get('b');
    await settle();
    await clock.advance(200);
    tier.restore();
    await read;

    expect(outcomes.filter((outcome) => outcome === 'error' || outcome === 'timeout')).toEqual(['error', 'timeout']);
  });
});
