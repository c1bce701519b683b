import { expect, test } from 'vitest';

import { chanceFor } from '../../support/chance.ts';
import { runChaos } from './fixtures/chaos.ts';
import { runCoherenceChaos } from './fixtures/coherence-chaos.ts';

test(
  'whatever happens to Redis, no read fails, and none gives what is past its windows',
  { timeout: 180_000 },
  async (context) => {
    const report = await runChaos(chanceFor(context), 12);

    expect(report).toMatchObject({ failed: [], unhandled: [], tooOld: [] });
  },
);

test(
  'whatever happens to Redis, no process reads what was changed before, in itself at once and in others once it has heard',
  { timeout: 180_000 },
  async (context) => {
    const report = await runCoherenceChaos({ seconds: 15, readers: 25, chance: chanceFor(context) });

    expect(report).toMatchObject({ failed: [], unhandled: [], verdict: { ok: true } });
    expect(report.reads).toBeGreaterThan(1_000);
  },
);
