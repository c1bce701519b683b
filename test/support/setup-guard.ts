import { afterEach, expect } from 'vitest';

import { atEndOfTurn } from '../../src/base/turn.js';
import type { Entry, StorageAdapter } from '../../src/index.js';
import { RequestOutbox } from '../../src/requests/request-outbox.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { GuardedTier } from '../../src/tiers/guard.js';

/** Whether the users of a tier share one I/O context, or each request has its own. */
export type ScopeKind = 'shared' | 'request';

/** A failure of the tier, as reported by the guard. */
interface Reported {
  readonly operation: string;
  readonly key: string | undefined;
  readonly error: unknown;
}

/** One guard under test. The test moves the time. */
export interface GuardParts {
  readonly guard: GuardedTier;
  readonly clock: ManualClock;
  readonly reports: Reported[];
  /** Background work that is not over. */
  readonly background: ReadonlySet<Promise<void>>;
}

export const READ_TIMEOUT = 1_000;
export const WRITE_TIMEOUT = 5_000;

/** Longer than any pause, deadline or backoff. */
const LONG = 1_000_000;

const opened: GuardParts[] = [];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

export function setupGuard(tier: StorageAdapter, scope: ScopeKind = 'shared'): GuardParts {
  const clock = manualClock();
  const reports: Reported[] = [];
  const background = new Set<Promise<void>>();
  const guard = new GuardedTier(tier, {
    clock,
    outbox: scope === 'request' ? (options) => new RequestOutbox(options) : undefined,
    readTimeout: READ_TIMEOUT,
    writeTimeout: WRITE_TIMEOUT,
    report: (operation, key, error) => reports.push({ operation, key, error }),
    background: (work) => {
      background.add(work);
      void work.then(() => background.delete(work));
    },
  });
  const parts = { guard, clock, reports, background };
  opened.push(parts);
  return parts;
}

/** An entry fresh for a minute, then stale for another, whose load started `age` milliseconds ago. */
export function entryAt(clock: ManualClock, value: unknown, age = 0): Entry {
  const startedAt = clock.now() - age;
  return {
    value,
    startedAt,
    createdAt: startedAt,
    freshUntil: startedAt + 60_000,
    staleUntil: startedAt + 120_000,
    errorUntil: startedAt + 120_000,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}

/** Lets all promises that can settle without outside help do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await null;
  await new Promise<void>(atEndOfTurn);
  for (let turn = 0; turn < 50; turn += 1) await null;
}

/** After every test: once time is up, nothing waits, no timer is left, and no rejection went unhandled. */
afterEach(async () => {
  for (const { guard, clock, background } of opened.splice(0)) {
    await clock.advanceAsync(LONG);
    // What storage refuses to the end would be tried for ever.
    void guard.close();
    await clock.advanceAsync(LONG);
    // A replay of thousands takes more turns of the microtask queue than `settle` gives.
    await new Promise((resolve) => setImmediate(resolve));
    expect(background.size).toBe(0);
    expect(clock.pending).toBe(0);
  }
  // Unhandled rejections are reported at the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
});
