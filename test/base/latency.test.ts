import { describe, expect, test } from 'vitest';

import { Latency } from '../../src/base/latency.js';
import { fc } from '../support/property.js';
import { heapUsed } from '../support/setup-flights.js';

/** The bucket that one duration of so many seconds falls into. */
function bucketOf(seconds: number): number {
  const latency = new Latency();
  latency.record(seconds * 1_000);
  return Array.from(latency.buckets).indexOf(1);
}

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

  test('any durations from 0.12 ms to 17 minutes: percentiles lie within 5 % and never beyond the longest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1_000 * 2 ** -13, max: 1_024_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
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
    expect(p50).toBeLessThan(0.13);
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

describe('the buckets of durations', () => {
  test('each power of two is the exact end of a bucket, so classic bounds lose nothing', () => {
    for (let power = -13; power <= 10; power += 1) {
      const end = (power + 13) * 8;

      expect(bucketOf(2 ** power)).toBe(end);
      expect(bucketOf(2 ** power * 1.000_001)).toBe(end + 1);
      expect(bucketOf(2 ** power * 0.999_999)).toBe(end);
    }
  });

  test('are those of OpenTelemetry scale 3: bucket i ends where index i - 105 does', () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -12.9, max: 2 ** 9.9, noNaN: true }), (seconds) => {
        const otel = bucketOf(seconds) - 105;
        const base = 2 ** (2 ** -3);

        expect(seconds).toBeGreaterThan(base ** otel * (1 - 1e-9));
        expect(seconds).toBeLessThanOrEqual(base ** (otel + 1) * (1 + 1e-9));
      }),
    );
  });

  test('the first holds all that is shorter, the last all that is longer', () => {
    expect([0, 2 ** -20, 2 ** -13].map(bucketOf)).toEqual([0, 0, 0]);
    expect([1_024, 1_025, 86_400].map(bucketOf)).toEqual([184, 185, 185]);
  });

  test('the percentile of durations beyond the last end is the longest, not that end', () => {
    const latency = new Latency();

    latency.record(86_400_000);

    expect(latency.summary().p50).toBe(86_400_000);
  });

  test('a duration below zero, of a clock that was set back, is in the first: no count without a bucket', () => {
    const latency = new Latency();

    latency.record(-1);
    latency.record(0);

    expect(latency.buckets[0]).toBe(2);
  });
});
