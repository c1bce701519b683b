import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { INSTRUMENTS } from '../../src/observe/index.js';
import { prometheusName } from '../../src/observe/names.js';
import { root } from '../package/command.js';
import { testRules } from '../support/promtool.js';

const RULES = join(root, 'docs/observe/alerts.yml');

interface Scene {
  /** Series and their values, one per minute. */
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
}

const of = 'job="web",cache_name="posts"';
const flat = (value: number, minutes: number): string => `${value}x${minutes}`;
/** A rate of so much per second over a day, and another one from then on. */
const day = (before: number, after: number): string => `0+${before * 60}x1440 ${before * 60 * 1440}+${after * 60}x60`;

/** For each alert, figures at which it must fire, and the nearest ones at which it must not. */
const SCENES: Readonly<Record<string, { readonly fires: Scene; readonly rests: Scene }>> = {
  SoloflightManyFlights: {
    fires: {
      at: '2m',
      series: {
        [`soloflight_flights{${of},instance="a"}`]: flat(6_000, 5),
        [`soloflight_flights{${of},instance="b"}`]: flat(4_001, 5),
      },
    },
    rests: { at: '2m', series: { [`soloflight_flights{${of}}`]: flat(10_000, 5) } },
  },
  SoloflightStuckFlight: {
    fires: { at: '1m', series: { [`soloflight_flight_oldest_age_seconds{${of}}`]: flat(61, 5) } },
    rests: { at: '1m', series: { [`soloflight_flight_oldest_age_seconds{${of}}`]: flat(60, 5) } },
  },
  SoloflightCrowd: {
    fires: { at: '1m', series: { [`soloflight_flight_subscribers{${of}}`]: flat(10_001, 5) } },
    rests: {
      at: '1m',
      series: {
        [`soloflight_flight_subscribers{${of},instance="a"}`]: flat(6_000, 5),
        [`soloflight_flight_subscribers{${of},instance="b"}`]: flat(6_000, 5),
      },
    },
  },
  SoloflightHitRatioFell: {
    fires: {
      at: '24h50m',
      series: {
        [`soloflight_cache_requests_total{${of},result="hit"}`]: day(180, 60),
        [`soloflight_cache_requests_total{${of},result="miss"}`]: day(20, 140),
      },
    },
    // The ratio falls as far, but nobody reads.
    rests: {
      at: '24h50m',
      series: {
        [`soloflight_cache_requests_total{${of},result="hit"}`]: day(18, 6),
        [`soloflight_cache_requests_total{${of},result="miss"}`]: day(2, 14),
      },
    },
  },
  SoloflightUpstreamDown: {
    fires: {
      at: '15m',
      series: {
        [`soloflight_cache_loads_total{${of},reason="miss",outcome="ok"}`]: '0+60x30',
        [`soloflight_cache_loads_total{${of},reason="miss",outcome="error"}`]: '0+60x30',
        [`soloflight_cache_loads_total{${of},reason="miss",outcome="timeout"}`]: '0+60x30',
      },
    },
    rests: {
      at: '15m',
      series: {
        [`soloflight_cache_loads_total{${of},reason="miss",outcome="ok"}`]: '0+120x30',
        [`soloflight_cache_loads_total{${of},reason="miss",outcome="error"}`]: '0+110x30',
      },
    },
  },
  SoloflightServingFallbacks: {
    fires: {
      at: '20m',
      series: {
        [`soloflight_cache_requests_total{${of},result="hit"}`]: '0+94x30',
        [`soloflight_cache_requests_total{${of},result="fallback"}`]: '0+6x30',
      },
    },
    rests: {
      at: '20m',
      series: {
        [`soloflight_cache_requests_total{${of},result="hit"}`]: '0+96x30',
        [`soloflight_cache_requests_total{${of},result="fallback"}`]: '0+4x30',
      },
    },
  },
  SoloflightTierDown: {
    fires: { at: '3m', series: { [`soloflight_storage_available{${of},tier="redis"}`]: flat(0, 5) } },
    rests: { at: '3m', series: { [`soloflight_storage_available{${of},tier="redis"}`]: '0 1 0 0 0' } },
  },
  SoloflightWritesLate: {
    fires: { at: '6m', series: { [`soloflight_writes_oldest_age_seconds{${of}}`]: flat(601, 10) } },
    rests: { at: '6m', series: { [`soloflight_writes_oldest_age_seconds{${of}}`]: flat(600, 10) } },
  },
  SoloflightDeadLetters: {
    fires: { at: '5m', series: { [`soloflight_writes_dead_letters_total{${of}}`]: '0 0 1 1 1 1 1' } },
    rests: { at: '5m', series: { [`soloflight_writes_dead_letters_total{${of}}`]: flat(3, 10) } },
  },
};

const text = readFileSync(RULES, 'utf8');
const alerts = [...text.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);

/** What promtool says if `scene` is to have `count` alerts called `name`. */
function run(name: string, { series, at }: Scene, fires: boolean): string {
  const input_series = Object.entries(series).map(([labels, values]) => ({ series: labels, values }));
  // `ALERTS` is what Prometheus itself writes of an alert: its texts need not be repeated here.
  const exp_samples = fires ? [{ labels: '{}', value: 1 }] : [];
  const promql_expr_test = [
    { expr: `count(ALERTS{alertname="${name}",alertstate="firing"})`, eval_time: at, exp_samples },
  ];
  return testRules(RULES, { evaluation_interval: '1m', tests: [{ interval: '1m', input_series, promql_expr_test }] });
}

describe.each(alerts)('the alert %s', (name) => {
  test('fires when it has to', () => {
    expect(run(name, SCENES[name]!.fires, true)).toBe('');
  });

  test('rests at the nearest harmless figures', () => {
    expect(run(name, SCENES[name]!.rests, false)).toBe('');
  });

  test('has a runbook paragraph', () => {
    expect(readFileSync(join(root, 'docs/alerts.md'), 'utf8')).toContain(`## ${name}\n`);
    expect(text).toContain(`docs/alerts.md#${name.toLowerCase()}\n`);
  });
});

test('there are nine alerts, each with its scenes', () => {
  expect(alerts).toHaveLength(9);
  expect(Object.keys(SCENES)).toEqual(alerts);
});

test('alerts ask for figures that exist: a renamed one would silence them', () => {
  const names = new Set(Object.values(INSTRUMENTS).map(prometheusName));
  const asked = new Set([...text.matchAll(/\bsoloflight_\w+/g)].map(([name]) => name));

  expect([...asked].filter((name) => !names.has(name))).toEqual([]);
});
