import { relative } from 'node:path';

import fc from 'fast-check';
import { expect } from 'vitest';

export { default as fc } from 'fast-check';

const { SOLOFLIGHT_SEED = String(Date.now() % 2 ** 31), SOLOFLIGHT_RUNS = '1' } = process.env;

/**
 * How often a property is tried: `full` times in `npm run test:all`, a tenth of that in `npm test`.
 *
 * `SOLOFLIGHT_RUNS=20` tries it twenty times as often.
 */
export function runs(full: number): number {
  return Math.ceil(full * Number(SOLOFLIGHT_RUNS));
}

fc.configureGlobal({ seed: Number(SOLOFLIGHT_SEED), numRuns: runs(1_000) });

// The seed alone leads to the same failure again: fast-check makes the same values in the same order, however many follow.
fc.installGlobalPlugin(() => ({
  onAllRunsComplete: (run) => {
    if (!run.failed) return;
    const file = relative(process.cwd(), expect.getState().testPath ?? '');
    const repeat = `SOLOFLIGHT_SEED=${SOLOFLIGHT_SEED} SOLOFLIGHT_RUNS=${SOLOFLIGHT_RUNS} npx vitest run ${file}`;
    throw new Error(`${fc.defaultReportMessage(run)}\n\nRepeat with: ${repeat}`, { cause: run.errorInstance });
  },
}));
