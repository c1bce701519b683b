import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../../src/index.js';
import { checkFreshness, simulate } from '../../../src/testing/index.js';
import { WriteBehind } from '../../../src/writes/index.js';
import { chanceOf, seedOfRun } from '../../support/chance.ts';
import { PLANTED_WRITE_FAULTS, runPlantedWrites } from '../../support/planted-write-faults.ts';
import { fc, runs } from '../../support/property.ts';
import { anyCase } from '../../support/simulation-arbitraries.ts';
import { runScenario, SCENARIOS } from '../../support/simulation-scenarios.ts';
import { reportOf, runCase } from '../../support/simulation.ts';

const kit = { TieredCache, simulate, checkFreshness };
const HOLDING = SCENARIOS.filter(({ expected }) => expected === 'holds');
/** 300 in all scenarios together, in the full suite. `SOLOFLIGHT_RUNS=200` makes 20,000 of them. */
const SEEDS = Math.ceil(runs(100) / HOLDING.length);

describe(`in ${SEEDS} simulated fleets of a kind`, () => {
  test.each(HOLDING.map((scenario) => [scenario.name, scenario] as const))('holds: %s', async (_, scenario) => {
    const first = seedOfRun();

    for (let seed = first; seed < first + SEEDS * (scenario.share ?? 1); seed += 1) {
      const found = await runScenario(kit, scenario, seed);

      expect(reportOf(found, scenario.make(chanceOf(seed)))).toBe(`Seed ${seed}: no violation`);
    }
  });

  test.each(PLANTED_WRITE_FAULTS.map((fault) => [fault.name, fault] as const))(
    'holds without: %s',
    async (_, fault) => {
      const first = seedOfRun();

      for (let seed = first; seed < first + SEEDS; seed += 1) {
        const { verdict } = await runPlantedWrites({ WriteBehind, simulate }, fault, chanceOf(seed), false);

        expect(verdict.ok ? '' : `Seed ${seed}: ${verdict.message}`).toBe('');
      }
    },
  );

  test('holds whatever clients of one process do, in the fewest commands that would show otherwise', async () => {
    const verbs = ['get', 'getFresh', 'change', 'set', 'expire', 'tags', 'clear'] as const;
    const faults = fc.record({ loadTime: fc.constant([1, 40] as const), loadFailure: fc.constantFrom(0, 0.2) });
    const cases = anyCase({ processes: ['a'], keys: ['k', 'l'], verbs, faults });
    const fleet = { processes: ['a'], backplane: false, cache: { ttl: 100, staleWhileRevalidate: 100 } };

    const checked = fc.assert(
      fc.asyncProperty(fc.nat(1_000), cases, async (seed, given) => {
        const found = await runCase(kit, fleet, given, seed);
        if (!found.verdict.ok) throw new Error(reportOf(found, given));
      }),
      { numRuns: runs(100) },
    );

    await expect(checked).resolves.toBeUndefined();
  });
});
