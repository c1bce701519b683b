import { describe, expect, test } from 'vitest';

import type { ManualClock } from '../../src/testing/index.js';
import { settle, setupCache, type Parts } from '../support/setup-cache.js';

/** A function as a service: it runs while an event is handled, and stands still in between. */
function setup(handle: (parts: Parts<string>, upstreamAnswers: () => void) => Promise<string>) {
  const parts = setupCache({ maxDuration: '5s', staleIfError: 0, staleWhileRevalidate: '1h' });
  const { clock, upstream } = parts;
  const answer = (): void => {
    for (const call of upstream.calls) if (!call.settled) call.resolve(`loaded by call ${upstream.count}`);
  };
  return {
    ...parts,
    invoke: () => handle(parts, answer),
    /** What waits for the network when the process stops has lost its connection when it goes on. */
    freeze: (ms: number) => thaw(clock, ms, () => {
      for (const call of upstream.calls) if (!call.settled) call.reject(new Error('socket hang up'));
    }), // prettier-ignore
  };
}

async function thaw(clock: ManualClock, ms: number, lose: () => void): Promise<void> {
  await clock.advanceAsync(ms);
  lose();
  await settle();
}

describe('a process that is frozen after each answer', () => {
  test('never renews a stale value, if its handler waits for nothing', async () => {
    const { invoke, freeze, cache } = setup(({ cache: own }) => own.get('k'));
    await cache.set('k', 'old');

    for (let times = 0; times < 5; times += 1) {
      await freeze(60_000);
      expect(await invoke()).toBe('old');
    }
    await freeze(1);
  });

  test('renews it at the first stale read, if its handler waits for what was handed to `waitUntil`', async () => {
    const { invoke, freeze, cache, upstream } = setup(async ({ cache: own }, answer) => {
      const behind: Promise<unknown>[] = [];
      const value = await own.get('k', { waitUntil: (work) => behind.push(work) });
      setImmediate(answer);
      await Promise.all(behind);
      return value;
    });
    await cache.set('k', 'old');

    await freeze(60_000);
    expect(await invoke()).toBe('old');
    await freeze(500);

    expect(await invoke()).toBe('loaded by call 1');
    expect(upstream.count).toBe(1);
  });

  test('waits no longer than `maxDuration` for an upstream that hangs, and still answers', async () => {
    const { invoke, freeze, cache, clock } = setup(async ({ cache: own }) => {
      const behind: Promise<unknown>[] = [];
      const value = await own.get('k', { waitUntil: (work) => behind.push(work) });
      await Promise.all(behind);
      return value;
    });
    await cache.set('k', 'old');
    await freeze(60_000);

    const answered = invoke();
    await clock.advanceAsync(5_000);

    expect(await answered).toBe('old');
  });
});
