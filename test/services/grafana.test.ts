import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { INSTRUMENTS } from '../../src/observe/index.js';
import { prometheusName } from '../../src/observe/names.js';
import { root } from '../package/command.js';
import { testRules } from '../support/promtool.js';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

const file = join(root, 'docs/observe/grafana.json');
const dashboard = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
};
const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe('the dashboard for Grafana', () => {
  test('has the parts of its schema: ids once, panels side by side, variables that are used', () => {
    const { panels } = dashboard;

    expect(dashboard).toMatchObject({ uid: 'soloflight', schemaVersion: 39 });
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.every(({ gridPos: { x, w } }) => x >= 0 && x + w <= 24)).toBe(true);
    const places = panels.flatMap(({ gridPos: { x, y, w } }) => Array.from({ length: w }, (_, at) => `${y}:${x + at}`));
    expect(new Set(places).size).toBe(places.length);
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'cache']);
    expect(expressions.every((expr) => expr.includes('$job') && expr.includes('$cache'))).toBe(true);
  });

  test('asks for figures that exist', () => {
    const names = new Set(Object.values(INSTRUMENTS).map(prometheusName));
    const asked = expressions.flatMap((expr) => [...expr.matchAll(/\bsoloflight_\w+/g)].map(([name]) => name));

    expect(asked.filter((name) => !names.has(name.replace(/_bucket$/, '')))).toEqual([]);
  });

  test('asks in expressions that Prometheus can evaluate', () => {
    const promql_expr_test = expressions.map((expr) => ({
      expr: expr.replaceAll('$job', '.*').replaceAll('$cache', '.*').replaceAll('$__rate_interval', '5m'),
      eval_time: '1m',
    }));

    const rules = join(root, 'docs/observe/alerts.yml');
    expect(testRules(rules, { tests: [{ interval: '1m', input_series: [], promql_expr_test }] })).toBe('');
  });
});
