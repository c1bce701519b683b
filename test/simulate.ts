// Runs fleets of caches in a simulated world and prints what happens, one line per event and one column per process:
// `npm run simulate -- [--seed 4711] [--runs 300] [--scenario 'part of its name']`. Stops at the first violation, with exit code 1.
import { parseArgs } from 'node:util';

import { TieredCache } from 'soloflight';
import { checkFreshness, simulate } from 'soloflight/testing';

import { chanceOf, seedOfRun } from './support/chance.ts';
import { runScenario, SCENARIOS, type Scenario } from './support/simulation-scenarios.ts';
import { reportOf } from './support/simulation.ts';

const { seed, runs, scenario } = readArguments();
for (let next = seed; next < seed + runs; next += 1) {
  const found = await runScenario({ TieredCache, simulate, checkFreshness }, scenario, next);
  if (!found.verdict.ok || runs === 1) console.log(found.trace);
  if (found.verdict.ok) continue;
  console.log(`${scenario.name} (${scenario.rules})\n${reportOf(found, scenario.make(chanceOf(next)))}`);
  console.log(`\nRepeat with: npm run simulate -- --seed ${next} --scenario '${scenario.name}'`);
  process.exitCode = 1;
  break;
}
if (process.exitCode !== 1) console.log(`${scenario.name}: no violation in ${runs} runs from seed ${seed} on`);

function readArguments(): { readonly seed: number; readonly runs: number; readonly scenario: Scenario } {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, runs: { type: 'string' }, scenario: { type: 'string' } },
  });
  const { scenario: wanted = 'everything at once' } = values;
  const scenario = SCENARIOS.find(({ name }) => name.includes(wanted));
  if (scenario === undefined)
    throw new TypeError(`No scenario '${wanted}'. There are:\n${SCENARIOS.map(({ name }) => `  ${name}`).join('\n')}`);
  return {
    seed: values.seed === undefined ? seedOfRun() : wholeNumber('seed', values.seed),
    runs: wholeNumber('runs', values.runs ?? '1'),
    scenario,
  };
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new TypeError(`Expected --${name} to be a whole number, got '${text}'`);
  return Number(text);
}
