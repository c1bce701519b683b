import { relative } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import fc from 'fast-check';
import { expect } from 'vitest';

export { default as fc } from 'fast-check';

const { SOLOFLIGHT_SEED = String(Date.now() % 2 ** 31), SOLOFLIGHT_RUNS = '1' } = process.env;

/**
 * The number of tries of a property: `times` a factor that is 0.2 in `npm test` and 3 in `npm run test:all`.
 *
 * `SOLOFLIGHT_RUNS=20` sets the factor.
 */
export function runs(times: number): number {
  return Math.ceil(times * Number(SOLOFLIGHT_RUNS));
}

fc.configureGlobal({ seed: Number(SOLOFLIGHT_SEED), numRuns: runs(500) });

// The seed alone repeats a failure: fast-check makes the same values in the same order, however many follow.
fc.installGlobalPlugin(() => ({
  // The event loop turns between two runs: until then, weakly referenced objects are kept and timers wait.
  decorateRun: (run) => (value) => {
    const failure = run(value);
    return failure instanceof Promise ? failure.then((it) => setImmediate(it)) : failure;
  },
  onAllRunsComplete: (run) => {
    if (!run.failed) return;
    const file = relative(process.cwd(), expect.getState().testPath ?? '');
    const repeat = `SOLOFLIGHT_SEED=${SOLOFLIGHT_SEED} SOLOFLIGHT_RUNS=${SOLOFLIGHT_RUNS} npx vitest run ${file}`;
    throw new Error(`${fc.defaultReportMessage(run)}\n\nRepeat with: ${repeat}`, { cause: run.errorInstance });
  },
}));
