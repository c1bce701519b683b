import { describe, expect, test } from 'vitest';

import { Singleflight } from '../../src/index.js';
import { Counters, Latency } from '../../src/read/stats.js';
import { fc } from '../support/property.js';
import { heapUsed } from '../support/setup-flights.js';

const FLIGHTS = new Singleflight().getStats();
const NOW = { pendingInvalidations: 4, evictions: 3, size: 2, inFlight: 1, flights: FLIGHTS };

describe('the counters of a cache', () => {
  test('start at zero, with a hit ratio of zero', () => {
    expect(
      new Counters().snapshot({ pendingInvalidations: 0, evictions: 0, size: 0, inFlight: 0, flights: FLIGHTS }),
    ).toEqual({
      ...{
        hits: 0,
        staleHits: 0,
        misses: 0,
        fallbacks: 0,
        coalesced: 0,
        loads: 0,
        loadFailures: 0,
        revalidations: 0,
        tierErrors: 0,
      },
      ...{ pendingInvalidations: 0, evictions: 0, size: 0, inFlight: 0, flights: FLIGHTS, hitRatio: 0 },
      loadLatency: { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 },
    });
  });

  test('appear under their own names, beside the state of now', () => {
    const counters = new Counters();
    const values = {
      hits: 1,
      staleHits: 2,
      misses: 3,
      fallbacks: 4,
      coalesced: 5,
      loads: 6,
      loadFailures: 7,
      revalidations: 8,
      tierErrors: 9,
    };

    Object.assign(counters, values);

    expect(counters.snapshot(NOW)).toMatchObject({ ...values, ...NOW });
  });

  test('the hit ratio counts stale hits as hits and fallbacks as none', () => {
    const counters = new Counters();

    Object.assign(counters, { hits: 5, staleHits: 1, misses: 3, fallbacks: 1 });

    expect(counters.snapshot(NOW).hitRatio).toBe(0.6);
  });

  test('a snapshot does not change afterwards', () => {
    const counters = new Counters();

    const before = counters.snapshot(NOW);
    counters.hits += 1;
    counters.latency.record(5);

    expect(before).toMatchObject({ hits: 0, loadLatency: { count: 0 } });
  });
});

describe('the latency of loads', () => {
  test('count, mean and max are exact', () => {
    const latency = new Latency();

    for (const ms of [1, 2, 3, 10]) latency.record(ms);

    expect(latency.summary()).toMatchObject({ count: 4, mean: 4, max: 10 });
  });

  test('percentiles of 1 to 1,000 ms lie within 5 % of the truth', () => {
    const latency = new Latency();

    for (let ms = 1; ms <= 1_000; ms += 1) latency.record(ms);
    const { p50, p95, p99 } = latency.summary();

    expect(p50 / 500).toBeCloseTo(1, 1);
    for (const [found, truth] of [
      [p50, 500],
      [p95, 950],
      [p99, 990],
    ] as const)
      expect(Math.abs(found / truth - 1)).toBeLessThan(0.05);
  });

  test('any durations up to an hour: percentiles lie within 5 % and never beyond the longest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 3_600_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
        (durations) => {
          const latency = new Latency();
          for (const ms of durations) latency.record(ms);
          const { p50, p95, p99, max } = latency.summary();
          const sorted = durations.toSorted((a, b) => a - b);

          expect(p50 <= p95 && p95 <= p99 && p99 <= max).toBe(true);
          for (const [found, share] of [
            [p50, 0.5],
            [p95, 0.95],
            [p99, 0.99],
          ] as const) {
            const truth = sorted[Math.ceil(sorted.length * share) - 1]!;
            expect(Math.abs(found / truth - 1)).toBeLessThan(0.05);
          }
        },
      ),
    );
  });

  test('durations of nothing and of days are taken too', () => {
    const latency = new Latency();

    for (const ms of [0, 0.01, 86_400_000]) latency.record(ms);
    const { count, p50, p99, max } = latency.summary();

    expect({ count, max }).toEqual({ count: 3, max: 86_400_000 });
    expect(p50).toBeLessThanOrEqual(0.1);
    expect(p99).toBeGreaterThan(3_000_000);
  });

  test('memory stays the same however many are recorded', () => {
    const latency = new Latency();

    latency.record(1);
    const before = heapUsed();
    for (let index = 0; index < 1_000_000; index += 1) latency.record(index % 5_000);
    const kept = heapUsed() - before;

    expect(latency.summary().count).toBe(1_000_001);
    expect(kept).toBeLessThan(1_000_000);
  });
});
