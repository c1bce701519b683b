import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

const fixture = fileURLToPath(new URL('fixtures/pending-flights.ts', import.meta.url));

describe('a process with flights pending', () => {
  // Of 40 days: one timer can't take it, and what follows it must not hold the process either.
  test.each(['10m', '40d', 'Infinity'])('exits by itself, without an error (maxDuration %s)', async (maxDuration) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [fixture, maxDuration], { timeout: 20_000 });

    expect(JSON.parse(stdout)).toMatchObject({ inFlightCount: 20, totalSubscribers: 200, succeeded: 1 });
    expect(stderr).toBe('');
  });
});

test('a process with writes pending, one being delivered and one waiting for room, exits by itself', async () => {
  const pendingWrites = fileURLToPath(new URL('fixtures/pending-writes.ts', import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [pendingWrites], { timeout: 20_000 });

  expect(JSON.parse(stdout)).toMatchObject({ pending: 2, inFlight: 1, waiting: 1 });
  expect(stderr).toBe('');
});
