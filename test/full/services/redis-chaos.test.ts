import { expect, test } from 'vitest';

import { runChaos } from './fixtures/chaos.ts';

test(
  'whatever happens to Redis, no read fails, and none gives what is past its windows',
  { timeout: 60_000 },
  async () => {
    const report = await runChaos(8);

    expect(report).toMatchObject({ failed: [], unhandled: [], tooOld: [] });
    expect(report.reads).toBeGreaterThan(500);
    expect(report.writes).toBeGreaterThan(20);
    expect(Object.values(report.trouble).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(2);
  },
);
