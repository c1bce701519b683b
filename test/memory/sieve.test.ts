import { describe, expect, test } from 'vitest';

import { sieveMemory, type Entry } from '../../src/index.js';

function entry(value: string): Entry<string> {
  const at = 1_000;
  return {
    value,
    startedAt: at,
    createdAt: at,
    freshUntil: at,
    staleUntil: at,
    errorUntil: at,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}

/** A memory that is full with an entry for each letter of `keys`, written in this order. */
function setup(keys: string) {
  const memory = sieveMemory<string>({ max: keys.length });
  const write = (added: string): void => {
    for (const key of added) memory.set(key, entry(key));
  };
  const read = (used: string): void => {
    for (const key of used) memory.get(key);
  };
  /** Those of `asked` that are held. */
  const held = (asked: string): string =>
    asked
      .split('')
      .filter((key) => memory.peek(key) !== undefined)
      .join('');
  write(keys);
  return { memory, write, read, held };
}

describe('a full memory', () => {
  test('drops the oldest entry that was not read', () => {
    const { memory, write, read, held } = setup('abc');

    read('a');
    write('d');

    expect(held('abcd')).toBe('acd');
    expect([memory.size, memory.evictions]).toEqual([3, 1]);
  });

  test('keeps what is read again and again through a scan that is longer than it', () => {
    const { write, read, held } = setup('abc');

    read('a');
    for (const scanned of '0123456789') {
      write(scanned);
      read('a');
    }

    expect(held('a0123456789')).toBe('a89');
  });

  test('lets go of what was read once, when the hand comes by again', () => {
    const { write, read, held } = setup('abc');

    read('abc');
    write('d');
    expect(held('abcd')).toBe('bcd');
    write('ef');

    expect(held('abcdef')).toBe('def');
  });

  test('goes on from where the hand stopped, not from the oldest', () => {
    const { write, read, held } = setup('abcd');

    read('ab');
    write('e');
    expect(held('abcde')).toBe('abde');
    write('f');
    expect(held('abcdef')).toBe('abef');
    write('g');

    expect(held('abcdefg')).toBe('abfg');
  });

  test('does not count a peek, or a value that is replaced, as a read', () => {
    const { memory, write, held } = setup('abc');

    memory.peek('a');
    memory.set('a', entry('new'));
    write('d');

    expect(held('abcd')).toBe('bcd');
  });

  test('counts the read of an entry that is replaced afterwards', () => {
    const { memory, write, read, held } = setup('abc');

    read('a');
    memory.set('a', entry('new'));
    write('d');

    expect(held('abcd')).toBe('acd');
    expect(memory.get('a')?.value).toBe('new');
  });

  test('of one entry holds the newest', () => {
    const { memory, write, read, held } = setup('a');

    read('a');
    write('b');
    read('b');
    write('c');

    expect(held('abc')).toBe('c');
    expect(memory.evictions).toBe(2);
  });
});

describe('a memory whose entries are deleted', () => {
  test.each([
    ['behind the hand', 'a', 'efghi'],
    ['under the hand', 'd', 'afghi'],
    ['before the hand', 'e', 'afghi'],
    ['that is the newest', 'g', 'aefhi'],
  ])('goes on with what the hand would have come to: one %s', (_, deleted, left) => {
    // The hand passes a and drops b and c: it stands at d.
    const { memory, write, read, held } = setup('abcde');
    read('a');
    write('fg');
    expect(held('abcdefg')).toBe('adefg');

    memory.delete(deleted);
    write('hi');

    expect(held('abcdefghi')).toBe(left);
  });

  test('begins with the oldest again where the hand stood at the newest', () => {
    const { memory, write, read, held } = setup('abc');
    read('a');
    write('d');
    memory.delete('d');
    // The hand stands at c, whose slot x takes.
    memory.delete('c');

    write('xyz');

    expect(held('axyz')).toBe('xyz');
  });

  test('is as good as new when all are gone', () => {
    const { memory, write, read, held } = setup('abc');
    read('a');
    write('d');

    for (const key of 'acd') memory.delete(key);
    expect(memory.size).toBe(0);
    write('wxyz');

    expect(held('wxyz')).toBe('xyz');
  });

  test('tells whether there was one', () => {
    const { memory } = setup('a');

    expect([memory.delete('a'), memory.delete('a'), memory.size]).toEqual([true, false, 0]);
  });
});

test('a memory that was cleared is empty, and begins with the oldest again', () => {
  const { memory, write, read, held } = setup('abc');
  // The hand stands at c, whose slot z will take.
  read('a');
  write('d');

  memory.clear();
  expect([memory.size, held('abcd')]).toEqual([0, '']);
  write('xyz');
  write('w');

  expect(held('wxyz')).toBe('wyz');
  expect(memory.evictions).toBe(2);
});

test('what is not held any more can be collected', async () => {
  const memory = sieveMemory<object>({ max: 3 });
  const put = (key: string): WeakRef<object> => {
    const value = { key };
    memory.set(key, { ...entry(key), value });
    return new WeakRef(value);
  };
  const gone = [put('dropped'), put('deleted'), put('replaced')];
  put('replaced');
  put('last');
  memory.delete('deleted');
  expect(memory.evictions).toBe(1);

  // Until the turn is over, a value whose reference was made in it is kept.
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc!();

  expect(gone.map((value) => value.deref())).toEqual([undefined, undefined, undefined]);
});

test('what comes and goes leaves no room taken behind', () => {
  const memory = sieveMemory<string>({ max: 1_000 });
  const value = entry('v');
  globalThis.gc!();
  const before = process.memoryUsage().heapUsed;

  for (let i = 0; i < 300_000; i += 1) {
    memory.set(String(i), value);
    if (i % 2 === 0) memory.delete(String(i));
  }

  globalThis.gc!();
  expect(memory.size).toBe(1_000);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000_000);
});

test('a large `max` costs nothing until there are entries', () => {
  const before = process.memoryUsage();

  const memories = Array.from({ length: 100 }, () => sieveMemory({ max: 16_777_216 }));

  const after = process.memoryUsage();
  expect(memories).toHaveLength(100);
  expect(after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(10_000_000);
});

test.each(['', '__proto__', 'constructor', '\0', '\uD800'])('the key %j is one like any other', (key) => {
  const memory = sieveMemory<string>();

  expect(memory.get(key)).toBeUndefined();
  memory.set(key, entry('v'));

  expect([memory.get(key)?.value, memory.delete(key), memory.size]).toEqual(['v', true, 0]);
});
