import { AsyncLocalStorage } from 'node:async_hooks';

import { afterEach, expect } from 'vitest';

import type { Clock } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** One request of a Worker: its timers end with it. */
export interface MortalRequest {
  /** Runs `work` as part of this request. */
  run<T>(work: () => T): T;
  /** Ends the request as the runtime does: its timers never fire, and nobody is told. */
  end(): void;
}

/** Requests in one isolate, over a clock that the test moves. */
export interface Requests {
  /** The clock for the cache. Timers belong to the request that sets them. */
  readonly clock: Clock;
  readonly time: ManualClock;
  /** Starts a request. */
  readonly begin: () => MortalRequest;
}

export function requests(): Requests {
  const time = manualClock({ random: () => 0.999 });
  const current = new AsyncLocalStorage<Set<() => void>>();
  return {
    time,
    clock: {
      now: () => time.now(),
      monotonic: () => time.monotonic(),
      random: () => time.random(),
      after(ms, run) {
        const timers = current.getStore();
        const cancel = time.after(ms, () => {
          timers?.delete(cancel);
          if (timers === undefined) run();
          else current.run(timers, run);
        });
        timers?.add(cancel);
        return () => {
          timers?.delete(cancel);
          cancel();
        };
      },
    },
    begin() {
      const timers = new Set<() => void>();
      return {
        run: (work) => current.run(timers, work),
        end() {
          for (const cancel of timers) cancel();
        },
      };
    },
  };
}

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

afterEach(async () => {
  // Unhandled rejections are reported at the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
});
