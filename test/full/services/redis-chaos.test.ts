import { expect, test } from 'vitest';

import { chanceFor } from '../../support/chance.ts';
import { runChaos } from './fixtures/chaos.ts';

test(
  'whatever happens to Redis, no read fails, and none gives what is past its windows',
  { timeout: 180_000 },
  async (context) => {
    const report = await runChaos(chanceFor(context), 12);

    expect(report).toMatchObject({ failed: [], unhandled: [], tooOld: [] });
  },
);
