import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { webStorageQueue } from '../../src/browser/web-storage-queue.js';
import type { QueuedWrite } from '../../src/contracts.js';
import { stored, stubBrowser } from '../support/setup-leadership.js';
import { turns } from '../support/stub-tabs.js';

const LEASE = 10_000;

const write: QueuedWrite = {
  ...{ id: '1', sequence: 1, key: 'k', kind: 'put', value: 'v', at: 1 },
  ...{ attempts: 0, revision: 0, triedFor: 0, whole: false, dead: undefined },
};

beforeEach(() => {
  stored.clear();
  stubBrowser();
});

afterEach(() => vi.unstubAllGlobals());

describe('a queue in localStorage that is taken from an owner that lives', () => {
  test('is read when all is seen that the owner before has accepted', async () => {
    const queue = webStorageQueue();
    const before = await queue.own!('former', LEASE, false);
    await before!.put([write]);
    // The browser tells its processes of a change when it gets round to it.
    const late = [...stored].filter(([name]) => !name.endsWith('owner'));
    for (const [name] of late) stored.delete(name);

    const found = Promise.resolve(queue.own!('next', LEASE, true)).then(() => queue.load());
    await turns(20);
    for (const [name, row] of late) stored.set(name, row);

    expect(await found).toEqual([expect.objectContaining({ id: '1', value: 'v' })]);
  });

  test('is not held by one whose claim the owner before has overwritten, until it asks again', async () => {
    const queue = webStorageQueue();
    await queue.own!('former', LEASE, false);
    const lease = [...stored];

    const taken = queue.own!('next', LEASE, true);
    // It has not seen the claim when it renews its lease.
    for (const [name, row] of lease) stored.set(name, row);

    expect(await taken).toBeUndefined();
    const again = await queue.own!('next', LEASE, true);
    await again!.put([write]);
    expect(await queue.load()).toHaveLength(1);
  });

  test('is there at once for one that takes it from nobody', () => {
    expect(webStorageQueue().own!('first', LEASE, false)).not.toBeInstanceOf(Promise);
  });
});
