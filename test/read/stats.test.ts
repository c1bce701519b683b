import { describe, expect, test } from 'vitest';

import { Singleflight } from '../../src/index.js';
import { Counters } from '../../src/read/stats.js';

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
