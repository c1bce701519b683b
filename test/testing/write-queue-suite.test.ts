import assert from 'node:assert/strict';

import { describe, expect, test } from 'vitest';

import type { QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { writeQueueSuite, type WriteQueueSuiteOptions } from '../../src/testing/index.js';
import { memoryQueue } from '../../src/writes/index.js';

/** Runs the suite, and gives the names of the tests that fail. */
async function failuresOf(
  open: WriteQueueSuiteOptions['open'],
  supports: WriteQueueSuiteOptions['supports'] = {},
  equal: (actual: unknown, expected: unknown) => unknown = assert.deepStrictEqual,
): Promise<string[]> {
  const tests: [string, () => Promise<void>][] = [];
  writeQueueSuite({ test: (name, run) => tests.push([name, run]), equal }, { open, supports });
  const failures: string[] = [];
  for (const [name, run] of tests) await run().catch(() => failures.push(name));
  return failures;
}

interface SyncQueue extends WriteQueue {
  load(): QueuedWrite[];
  put(writes: readonly QueuedWrite[]): void;
  remove(ids: readonly string[]): void;
  listDead(): QueuedWrite[];
}

/** A working queue, of which `changes` replaces some methods. */
function changed(changes: (base: SyncQueue) => Partial<WriteQueue>): () => WriteQueue {
  return () => {
    const base = memoryQueue() as SyncQueue;
    return {
      name: 'changed',
      load: () => base.load(),
      put: (writes) => base.put(writes),
      remove: (ids) => base.remove(ids),
      listDead: () => base.listDead(),
      ...changes(base),
    };
  };
}

test('a sound queue passes, with everything declared', async () => {
  expect(await failuresOf(() => memoryQueue(), { references: true, reopen: (queue) => queue })).toEqual([]);
});

describe('a queue that is not sound fails where it should', () => {
  const lossy = (change: (write: QueuedWrite) => Partial<QueuedWrite>): (() => WriteQueue) =>
    changed((base) => ({ put: (writes) => base.put(writes.map((write) => ({ ...write, ...change(write) }))) }));

  test.each([
    ['has no name', changed(() => ({ name: '' })), 'the queue has a name and the methods of the contract'],
    ['forgets attempts', lossy(() => ({ attempts: 0 })), 'every field of a write comes back, again and again'],
    [
      'rounds instants',
      lossy(({ at }) => ({ at: Math.floor(at) })),
      'every field of a write comes back, again and again',
    ],
    ['cuts sequences', lossy(({ sequence }) => ({ sequence: sequence % 2 ** 32 })), 'every field of a write'],
    ['takes null for nothing', lossy(({ value }) => ({ value: value ?? 0 })), 'values come back as they are'],
    ['trims keys', lossy(({ key }) => ({ key: key.trim() })), 'keys come back as they are'],
    ['forgets why', lossy(({ dead }) => ({ dead: dead && { ...dead, reason: '' } })), 'dead letters are listed apart'],
    ['folds ids', lossy(({ id }) => ({ id: id.toLowerCase() })), 'ids that differ only a little are kept apart'],
    [
      'keeps the first write of an id',
      changed((base) => ({
        put: (writes) => base.put(writes.filter(({ id }) => !base.load().some((known) => known.id === id))),
      })),
      'put replaces the write with the same id, and no other',
    ],
    [
      'keeps one write per key',
      changed((base) => ({
        put(writes) {
          for (const write of writes) {
            base.remove(base.load().flatMap(({ id, key }) => (key === write.key ? [id] : [])));
            base.put([write]);
          }
        },
      })),
      'several writes of one key are kept apart',
    ],
    [
      'removes the first one only',
      changed((base) => ({ remove: (ids) => base.remove(ids.slice(0, 1)) })),
      'removing what is gone is not an error, and removes what is there',
    ],
    [
      'takes a missing id for an error',
      changed((base) => ({
        remove(ids) {
          if (ids.includes('missing')) throw new Error('missing');
          base.remove(ids);
        },
      })),
      'a queue that was never written to holds nothing',
    ],
    [
      'delivers dead letters',
      changed((base) => ({ load: () => [...base.load(), ...base.listDead()] })),
      'dead letters are listed apart from what is to be delivered',
    ],
    [
      'stores no more than a hundred at once',
      changed((base) => ({ put: (writes) => base.put(writes.slice(0, 100)) })),
      'a thousand writes are put and removed at once',
    ],
    [
      'gives each write out once',
      changed((base) => ({
        load() {
          const writes = base.load();
          base.remove(writes.map(({ id }) => id));
          return writes;
        },
      })),
      'every field of a write comes back, again and again',
    ],
  ])('%s', async (_, open, name) => {
    expect((await failuresOf(open)).some((failure) => failure.startsWith(name))).toBe(true);
  });

  test('what it can not keep', async () => {
    const half = changed((base) => ({
      put(writes) {
        for (const write of writes) {
          if (write.value === 'bad') throw new Error('bad');
          base.put([write]);
        }
      },
    }));
    const silent = changed((base) => ({ put: (writes) => base.put(writes.filter(({ value }) => value !== 'bad')) }));
    const name = 'a write that can not be stored rejects, and nothing of its call is stored';

    expect(await failuresOf(half, { unstorable: 'bad' })).toEqual([name]);
    expect(await failuresOf(silent, { unstorable: 'bad' })).toEqual([name]);
  });

  test('what it claims and is not', async () => {
    expect(await failuresOf(() => memoryQueue(), { references: false })).toEqual([
      'a change to a value after it was put does not reach the stored one',
    ]);
    expect(await failuresOf(() => memoryQueue(), { reopen: () => memoryQueue() })).toEqual([
      'what was put is there after the queue was closed and opened again',
    ]);
  });

  test('a runner that compares nothing', async () => {
    expect(
      await failuresOf(
        () => memoryQueue(),
        {},
        () => {},
      ),
    ).toEqual(['the test runner notices differences']);
  });
});

test.each([
  [{ test: 1, equal: () => {} }, { open: memoryQueue }, 'Expected `runner.test` to be a function'],
  [{ test: () => {} }, { open: memoryQueue }, 'Expected `runner.equal` to be a function'],
  [{ test: () => {}, equal: () => {} }, {}, 'Expected `open` to be a function that returns an empty queue'],
  [{ test: () => {}, equal: () => {} }, { open: memoryQueue, supports: null }, 'Expected `supports` to be an object'],
  [
    { test: () => {}, equal: () => {} },
    { open: memoryQueue, supports: { reference: true } },
    'Expected `supports` to be made of references',
  ],
])('options that make no sense are TypeErrors: %#', (runner, options, message) => {
  expect(() => writeQueueSuite(runner as never, options as never)).toThrow(message);
});
