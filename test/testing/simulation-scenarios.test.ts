import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import { checkFreshness, simulate } from '../../src/testing/index.js';
import { chanceOf } from '../support/chance.ts';
import { PLANTED_FAULTS, runPlanted } from '../support/planted-faults.ts';
import { fc } from '../support/property.ts';
import { anyCase } from '../support/simulation-arbitraries.ts';
import { runScenario, SCENARIOS, type Scenario } from '../support/simulation-scenarios.ts';
import { reportOf, runCase, type Case, type Found } from '../support/simulation.ts';

const kit = { TieredCache, simulate, checkFreshness };

/** The first of `seeds` that shows a violation. */
async function firstViolation(
  seeds: readonly number[],
  run: (seed: number) => Promise<Found>,
): Promise<number | undefined> {
  for (const seed of seeds) if (!(await run(seed)).verdict.ok) return seed;
  return undefined;
}

function upTo(count: number): number[] {
  return Array.from({ length: Math.ceil(count) }, (_, index) => index + 1);
}

const holding = SCENARIOS.filter(({ expected }) => expected === 'holds');
const violated = SCENARIOS.filter(({ expected }) => expected === 'violated');

describe('what caches of today keep up', () => {
  test.each(holding.map((scenario) => [scenario.name, scenario] as const))('%s', async (_, scenario) => {
    for (const seed of [...scenario.seeds, ...upTo(5 * (scenario.share ?? 1))]) {
      const found = await runScenario(kit, scenario, seed);

      expect(reportOf(found, scenario.make(chanceOf(seed)))).toBe(`Seed ${seed}: no violation`);
    }
  });
});

// A mend makes one of these fail: change `expected` of its scenario to 'holds', and leave its seeds there.
describe('what caches of today break, until it is mended', () => {
  const seedsOf = ({ seeds, share = 1 }: Scenario): number[] => [...seeds, ...upTo(60 * share)];

  test.each(violated.map((scenario) => [scenario.name, scenario] as const))('%s', async (_, scenario) => {
    const seed = await firstViolation(seedsOf(scenario), (next) => runScenario(kit, scenario, next));

    expect(seed, `${scenario.name} is mended: say so in its \`expected\``).toBeDefined();
  });
});

describe('a fault that was planted', () => {
  test.each(PLANTED_FAULTS.map((fault) => [fault.name, fault] as const))('is seen: %s', async (_, fault) => {
    const seeds = upTo(fault.expected === 'found' ? 300 : 20);
    const without = (seed: number): Promise<Found> => runPlanted(kit, fault, seed, false);

    const found = await firstViolation(seeds, (seed) => runPlanted(kit, fault, seed, true));

    // The same cases hold without it, so it is this fault that was found.
    const clean = await firstViolation(found === undefined ? [] : [...upTo(5), found], without);
    expect(found !== undefined && clean === undefined).toBe(fault.expected === 'found');
  });

  test('is shrunk to the few commands that show it', async () => {
    const fault = PLANTED_FAULTS.find(({ name }) => name.includes('memory'))!;
    const fleet = fault.plant(fault.fleet);
    const cases = anyCase({ processes: ['a'], keys: ['k', 'l'], verbs: ['get', 'change'], faults: fc.constant({}) });
    const holds = async (seed: number, given: Case): Promise<void> => {
      const found = await runCase(kit, fleet, given, seed);
      if (!found.verdict.ok) throw new Error(reportOf(found, given));
    };

    const failing = fc.assert(fc.asyncProperty(fc.nat(1_000), cases, holds));
    const { cause } = (await failing.catch((error: unknown) => error)) as Error;

    const { message } = cause as Error;
    const [promise, first, second] = message.split('\n');
    expect(promise).toMatch(/^Seed \d+\. Of "[kl]", \d is older than \d, which was promised:$/);
    expect([first, second]).toEqual([
      expect.stringMatching(/^ {2}a#\d invalidate [kl] /),
      expect.stringMatching(/^ {2}a#\d read [kl] = \d \(hit, memory\) /),
    ]);
    const commands = [...message.matchAll(/\+\d+ (get|change) /g)].map(([, verb]) => verb);
    // A smaller step may not show it, so that fast-check stops a command short of the least.
    expect(commands.length).toBeLessThanOrEqual(5);
    expect(new Set(commands)).toEqual(new Set(['get', 'change']));
  });
});
