import { stripVTControlCharacters } from 'node:util';

import { describe, expect, test } from 'vitest';

import { chart } from '../../examples/demo/chart.js';
import { measure } from '../../examples/demo/measurement.js';
import { viralPost } from '../../examples/demo/scenarios.js';
import { table } from '../../examples/demo/table.js';

describe('the figures of the demo', () => {
  const load = { latencies: [40, 10, 30, 20], failed: 1, sentWithin: 900 };
  const measurement = measure('soloflight', 1_000, [1_000, 1_099, 1_100, 1_350], load);

  test('are the nearest ranks of the latencies and the queries in each tenth of a second', () => {
    expect(measurement).toMatchObject({
      requests: 4,
      failed: 1,
      queries: 4,
      p50: 20,
      p99: 40,
      max: 40,
      timeline: [2, 1, 0, 1],
    });
  });

  test('are printed in columns', () => {
    const [headings, row] = stripVTControlCharacters(table([measurement])).split('\n');

    expect(headings?.trim().split(/\s{3,}/)).toEqual(['queries', 'failed', 'p50', 'p99', 'max']);
    expect(row?.trim().split(/\s{3,}/)).toEqual(['soloflight', '4', '1', '20 ms', '40 ms', '40 ms']);
  });

  test('are drawn with a bar for each tenth of a second that had queries', () => {
    const svg = chart([{ scenario: { ...viralPost, title: 'Posts & <pages>' }, measurements: [measurement] }]);

    expect(svg).toContain('Posts &amp; &lt;pages&gt;');
    const [, bars] = /<path class="solo" d="(.*)"/.exec(svg) ?? [];
    expect(bars?.match(/z/g)).toHaveLength(3);
  });
});
