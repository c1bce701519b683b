import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { WriteQueue } from '../../src/contracts.js';
import { manualClock } from '../../src/testing/index.js';
import { Batcher, memoryQueue, WriteBehind } from '../../src/writes/index.js';

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);

beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => void process.off('unhandledRejection', note));

/** Two turns of the event loop: after the first, rejections that nobody handled have been reported. */
async function reported(): Promise<unknown[]> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return unhandled.splice(0);
}

const failing = (): never => {
  throw new Error('down');
};

describe('a caller who looks away', () => {
  test('from a batch that fails, is given up, or refused', async () => {
    const clock = manualClock();
    const batcher = new Batcher<number>({ clock, handle: failing, retry: { attempts: 2 } });
    const hanging = new Batcher<number>({
      clock,
      handle: () => new Promise<void>(() => {}),
      maxDuration: 10,
      maxItems: 1,
    });
    const controller = new AbortController();

    void batcher.add(1);
    void batcher.add(2, { signal: controller.signal });
    void hanging.add(3);
    controller.abort(new Error('left'));
    void batcher.close();
    void batcher.add(4);
    await clock.advanceAsync(60_000);

    expect(await reported()).toEqual([]);
  });

  test('from writes that are refused, fail, or come too late', async () => {
    const clock = manualClock();
    const refusing: WriteQueue = { ...bound(memoryQueue()), put: () => Promise.reject(new Error('full')) };
    const unreadable: WriteQueue = { ...bound(memoryQueue()), load: failing };
    for (const queue of [undefined, refusing, unreadable]) {
      const writes = new WriteBehind<number>({
        ...{ clock, sink: failing, maxPending: 1, overflow: 'reject' },
        ...(queue === undefined ? {} : { queue }),
        merge: failing,
        current: () => Promise.reject(new Error('no current')),
        schedule: failing,
      });

      void writes.put('a', 1);
      void writes.put('a', 2);
      void writes.put('b', 1);
      void writes.update('a', failing);
      void writes.update('c', failing);
      void writes.delete(1 as never);
      await clock.advanceAsync(60_000);
      void writes.close();
      void writes.put('a', 3);
      await clock.advanceAsync(60_000);
      void writes.delete('a');

      expect(await reported()).toEqual([]);
    }
  });
});

/** The methods of `queue` as own properties. */
function bound(queue: WriteQueue): WriteQueue {
  return {
    name: 'bound',
    load: () => queue.load(),
    put: (writes) => queue.put(writes),
    remove: (ids) => queue.remove(ids),
    listDead: () => queue.listDead(),
  };
}
