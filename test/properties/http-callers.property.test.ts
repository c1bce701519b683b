import { test } from 'vitest';

import { HttpWorld, KINDS, settled, type Kind, type Step } from '../support/http-world.js';
import { fc, runs } from '../support/property.js';

const which = fc.nat({ max: 4 });
/** Variants are where most can go wrong. */
const kinds = fc.constantFrom(...(Object.keys(KINDS) as Kind[]), 'varied', 'varied', 'varied');
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('get' as const),
      language: fc.constantFrom('en', 'de'),
      auth: fc.boolean(),
      noCache: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 3),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('answer' as const), which, kind: kinds }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('fail' as const, 'error' as const, 'abort' as const), which }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('post' as const, 'advance' as const) }) },
);

test("whatever happens in whatever order: nobody gets what is another caller's, and nobody what was changed before they asked", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 10, maxLength: 50, size: 'max' }),
      fc.boolean(),
      async (script, stored) => {
        const world = new HttpWorld(stored);
        for (const step of script) {
          world.take(step);
          await settled();
        }
        await world.end();
      },
    ),
    { numRuns: runs(300) },
  );
});
