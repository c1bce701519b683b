import { describe, expect, test } from 'vitest';

import { simulate } from '../../src/testing/index.js';
import { WriteBehind } from '../../src/writes/index.js';
import { chanceOf } from '../support/chance.ts';
import { PLANTED_WRITE_FAULTS, runPlantedWrites, type PlantedWriteFault } from '../support/planted-write-faults.ts';

const kit = { WriteBehind, simulate };
const cases = PLANTED_WRITE_FAULTS.map((fault) => [fault.name, fault] as const);

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

async function verdictOf(fault: PlantedWriteFault, seed: number, planted: boolean): Promise<string> {
  const { verdict } = await runPlantedWrites(kit, fault, chanceOf(seed), planted);
  return verdict.ok ? `Seed ${seed}: no violation` : `Seed ${seed}: ${verdict.message}`;
}

describe('writes of processes that share a queue', () => {
  test.each(cases)('hold without a fault: %s', async (_, fault) => {
    for (const seed of [...fault.seeds, ...upTo(5)])
      expect(await verdictOf(fault, seed, false)).toBe(`Seed ${seed}: no violation`);
  });

  test.each(cases)('break with it, within 300 seeds: %s', async (_, fault) => {
    for (const seed of [...fault.seeds, ...upTo(300)])
      if (!(await verdictOf(fault, seed, true)).endsWith('no violation')) return;
    expect.unreachable('Nothing was found');
  });
});

test('a case runs the same each time, byte for byte', async () => {
  const [fault] = PLANTED_WRITE_FAULTS;
  const traces = [1, 2].map(async () => (await runPlantedWrites(kit, fault!, chanceOf(11), false)).trace);

  const [one, other] = await Promise.all(traces);

  expect(one).toContain('keep');
  expect(one).toBe(other);
});
