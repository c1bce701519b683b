import { expect, test } from 'vitest';

import { Gate } from '../../src/base/gate.js';

/** Lets all promises that can settle without outside help do so, in a turn of its own: weak references hold until its end. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test('what waits has its turn in order, so many at a time', async () => {
  const gate = new Gate(2);
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const all = [0, 1, 2, 3, 4].map((nth) =>
    gate.run(() => {
      begun.push(nth);
      return new Promise((resolve) => ends.push(resolve));
    }),
  );
  expect(begun).toEqual([0, 1]);

  for (const count of [3, 4, 5, 5, 5]) {
    ends.shift()!();
    await settle();
    expect(begun).toHaveLength(count);
  }

  expect(begun).toEqual([0, 1, 2, 3, 4]);
  await Promise.all(all);
  await gate.run(async () => void begun.push(5));
  expect(begun.at(-1)).toBe(5);
});

test('what had its turn is not kept while others wait, or a storage that is always behind would fill memory', async () => {
  const gate = new Gate(1);
  const ends: (() => void)[] = [];
  const hang = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
  const waitFor = (what: object): WeakRef<object> => {
    void gate.run(() => (Object.keys(what).length > 0 ? Promise.resolve() : hang()));
    return new WeakRef(what);
  };
  void gate.run(hang);
  const served = waitFor({ some: 'entry' });
  void gate.run(hang);
  void gate.run(hang);
  ends.shift()!();
  await settle();
  await settle();

  if (globalThis.gc === undefined) throw new Error('Run with --expose-gc');
  globalThis.gc();

  expect(served.deref()).toBeUndefined();
});
