import type { QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse } from '../errors.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './storage-suite/keys.js';
import { deepFreeze, FALSY_VALUES, ODD_VALUES } from './storage-suite/samples.js';
import { addOwnerTests } from './write-queue-owners.js';
import {
  pictureOf,
  sampleWrite,
  WriteQueueChecks,
  type WriteQueueSuiteOptions,
  type WriteQueueSuiteRunner,
} from './write-queue-suite/checks.js';

const MEGABYTE = 1_000_000;

/**
 * Registers the tests that every queue for a `WriteBehind` must pass.
 *
 * Each test opens a queue of its own. `supports` alone decides which tests are left out.
 *
 * @example
 * ```ts
 * import { expect, test } from 'vitest';
 * import { writeQueueSuite } from 'soloflight/testing';
 * import { memoryQueue } from 'soloflight/writes';
 *
 * writeQueueSuite(
 *   { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
 *   { open: () => memoryQueue(), supports: { references: true } },
 * );
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 */
export function writeQueueSuite(runner: WriteQueueSuiteRunner, options: WriteQueueSuiteOptions): void {
  const checks = new WriteQueueChecks(runner, options);
  addRunnerTest(runner);
  addShapeTests(checks);
  addValueTests(checks);
  addChangeTests(checks);
  addDeadLetterTests(checks);
  addFailureTests(checks);
  addOwnerTests(checks);
  addLifeTests(checks);
}

/** A suite whose `equal` answers instead of throwing would pass anything. */
function addRunnerTest({ test, equal }: WriteQueueSuiteRunner): void {
  test('the test runner notices differences', async () => {
    for (const [actual, expected] of [
      [1, 2],
      [{ a: [1] }, { a: [2] }],
      [[1], []],
    ] as const) {
      let noticed = false;
      try {
        equal(actual, expected);
      } catch {
        noticed = true;
      }
      if (!noticed) throw misuse('runner.equal', 'a function that throws for values that are not deeply equal', equal);
    }
    equal({ a: [undefined] }, { a: [undefined] });
  });
}

function addShapeTests(checks: WriteQueueChecks): void {
  checks.test('the queue has a name and the methods of the contract', async (queue) => {
    for (const method of ['load', 'put', 'remove', 'listDead'] as const) {
      if (typeof queue[method] !== 'function') throw new Error(`The queue has no method \`${method}\``);
    }
    if (typeof queue.name !== 'string' || queue.name === '') throw misuse('name', 'a non-empty string', queue.name);
  });

  checks.test('a queue that was never written to holds nothing', async (queue) => {
    await checks.holds(queue, [], []);
    await queue.put([]);
    await queue.remove([]);
    await queue.remove(['missing']);
    await checks.holds(queue, [], []);
  });
}

function addValueTests(checks: WriteQueueChecks): void {
  const { supports } = checks;

  checks.test('every field of a write comes back, again and again', async (queue) => {
    const writes = [
      sampleWrite(1, { attempts: 3, revision: 2, triedFor: 1_234.5, whole: true, at: 1_700_000_000_000.25 }),
      sampleWrite(2, { kind: 'delete', value: undefined }),
      sampleWrite(2 ** 53 - 1, { at: 0, id: '0190-7f3a:with "odd" \\ \'characters\'' }),
    ];
    await queue.put(writes);
    await checks.holds(queue, writes, []);
    await checks.holds(queue, writes, []);
  });

  checks.test('values come back as they are, falsy and odd ones too', async (queue) => {
    const writes = [...FALSY_VALUES, ...ODD_VALUES].map((value, index) => sampleWrite(index, { value }));
    await queue.put(writes);
    await checks.holds(queue, writes, []);
  });

  checks.test('keys come back as they are', async (queue) => {
    const keys = supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS;
    const writes = keys.map((key, index) => sampleWrite(index, { key }));
    await queue.put(writes);
    await checks.holds(queue, writes, []);
  });

  if (supports.largeValues) {
    checks.test('a value of a megabyte comes back', async (queue) => {
      const text = 'é-0123456'.repeat(MEGABYTE / 10);
      await queue.put([sampleWrite(1, { value: { text } })]);
      const [write] = (await queue.load()) as QueuedWrite[];
      // Not shown: nobody wants to read a megabyte twice.
      checks.equal((write?.value as { text?: string } | undefined)?.text === text, true);
    });
  }

  checks.test('a write that is given is not changed', async (queue) => {
    const write = deepFreeze(sampleWrite(1));
    await queue.put(Object.freeze([write]));
    await queue.remove(Object.freeze([write.id]));
    await checks.holds(queue, [], []);
  });

  if (supports.references === false) {
    checks.test('a change to a value after it was put does not reach the stored one', async (queue) => {
      const value = { list: [1] };
      await queue.put([sampleWrite(1, { value })]);
      value.list.push(2);
      await checks.holds(queue, [sampleWrite(1, { value: { list: [1] } })], []);
    });
  }
}

function addChangeTests(checks: WriteQueueChecks): void {
  checks.test('put replaces the write with the same id, and no other', async (queue) => {
    const [first, second, third] = [sampleWrite(1), sampleWrite(2), sampleWrite(3)];
    await queue.put([first, second]);
    const changed = { ...first, kind: 'delete' as const, value: undefined, attempts: 1, at: first.at + 1 };
    await queue.put([changed, third]);
    await checks.holds(queue, [changed, second, third], []);
    const back = { ...changed, kind: 'put' as const, value: 'again', revision: 1 };
    await queue.put([back]);
    await checks.holds(queue, [back, second, third], []);
  });

  checks.test('several writes of one key are kept apart', async (queue) => {
    const writes = [1, 2, 3].map((sequence) => sampleWrite(sequence, { key: 'same', value: sequence }));
    for (const write of writes) await queue.put([write]);
    await checks.holds(queue, writes, []);
    await queue.remove([(writes[1] as QueuedWrite).id]);
    await checks.holds(queue, [writes[0] as QueuedWrite, writes[2] as QueuedWrite], []);
  });

  checks.test('ids that differ only a little are kept apart', async (queue) => {
    const ids = ['a-1', 'a-10', 'A-1', 'a_1', 'a%1', 'a-1 ', '1', '01', '1.0', '__proto__'];
    const writes = ids.map((id, index) => sampleWrite(index, { id }));
    await queue.put(writes);
    await queue.remove(['a-1', '1', '__proto__']);
    await checks.holds(
      queue,
      writes.filter(({ id }) => !['a-1', '1', '__proto__'].includes(id)),
      [],
    );
  });

  checks.test('a thousand writes are put and removed at once', async (queue) => {
    const writes = Array.from({ length: 1_000 }, (_, index) => sampleWrite(index));
    const ids = writes.map(({ id }) => id);
    const heldIds = async (): Promise<string[]> => ((await queue.load()) as QueuedWrite[]).map(({ id }) => id);
    await queue.put(writes);
    // Not compared as a list: nobody wants to read a thousand writes that differ.
    const held = new Set(await heldIds());
    checks.equal([held.size, ids.filter((id) => !held.has(id))], [1_000, []]);
    await queue.remove(ids.slice(1));
    checks.equal((await heldIds()).length, 1);
    await checks.holds(queue, writes.slice(0, 1), []);
  });

  checks.test('removing what is gone is not an error, and removes what is there', async (queue) => {
    await queue.put([sampleWrite(1), sampleWrite(2)]);
    await queue.remove([sampleWrite(1).id]);
    await queue.remove([sampleWrite(1).id, 'missing', sampleWrite(2).id]);
    await checks.holds(queue, [], []);
  });
}

function addDeadLetterTests(checks: WriteQueueChecks): void {
  const dead = { cause: 'rejected', reason: 'no "such" row; \n 👩‍👩‍👧', at: 1_700_000_000_000.5 } as const;

  checks.test('dead letters are listed apart from what is to be delivered', async (queue) => {
    const [alive, letter] = [sampleWrite(1), sampleWrite(2, { dead })];
    await queue.put([alive, letter]);
    await checks.holds(queue, [alive], [letter]);
  });

  checks.test('a write becomes a dead letter, and one again, in one step', async (queue) => {
    const write = sampleWrite(1);
    await queue.put([write, sampleWrite(2)]);
    for (const cause of ['rejected', 'conflict', 'exhausted'] as const) {
      const letter = { ...write, attempts: 2, dead: { ...dead, cause, reason: '' } };
      await queue.put([letter]);
      await checks.holds(queue, [sampleWrite(2)], [letter]);
      await queue.put([write]);
      await checks.holds(queue, [write, sampleWrite(2)], []);
    }
  });

  checks.test('dead letters are removed like others', async (queue) => {
    await queue.put([sampleWrite(1, { dead }), sampleWrite(2, { dead, kind: 'delete', value: undefined })]);
    await queue.remove([sampleWrite(1).id]);
    await checks.holds(queue, [], [sampleWrite(2, { dead, kind: 'delete', value: undefined })]);
  });
}

function addFailureTests(checks: WriteQueueChecks): void {
  const { unstorable } = checks.supports;
  if (unstorable === undefined) return;

  checks.test('a write that can not be stored rejects, and nothing of its call is stored', async (queue) => {
    await queue.put([sampleWrite(1)]);
    let failed = false;
    try {
      await queue.put([sampleWrite(1, { value: 'changed' }), sampleWrite(2), sampleWrite(3, { value: unstorable })]);
    } catch {
      failed = true;
    }
    checks.equal(failed, true);
    await checks.holds(queue, [sampleWrite(1)], []);
    await queue.put([sampleWrite(4)]);
    await checks.holds(queue, [sampleWrite(1), sampleWrite(4)], []);
  });
}

function addLifeTests(checks: WriteQueueChecks): void {
  const { reopen } = checks.supports;
  if (reopen === undefined) return;

  checks.test('what was put is there after the queue was closed and opened again', async (queue) => {
    const writes = [sampleWrite(1), sampleWrite(2, { kind: 'delete', value: undefined }), sampleWrite(3)];
    const letter = sampleWrite(4, { dead: { cause: 'exhausted', reason: 'down', at: 5 } });
    await queue.put([...writes, letter]);
    await queue.remove([sampleWrite(3).id]);
    const again: WriteQueue = await reopen(queue);
    checks.equal((await again.load()).map(pictureOf).length, 2);
    await checks.holds(again, writes.slice(0, 2), [letter]);
    await again.put([sampleWrite(5)]);
    await checks.holds(again, [...writes.slice(0, 2), sampleWrite(5)], [letter]);
    await again.close?.();
  });
}
