import { describe, expect, test } from 'vitest';

import { lruMemory, type Entry } from '../../src/index.js';

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

describe('the memory tier', () => {
  test.each(Array.from({ length: 40 }, (_, reads) => reads))(
    'counts a use after %i uses of another key, though it need not remember each',
    (reads) => {
      const memory = lruMemory<string>({ max: 2 });
      memory.set('a', entry('1'));
      memory.set('b', entry('2'));

      memory.get('a');
      memory.get('b');
      for (let read = 0; read < reads; read += 1) memory.get('a');
      memory.get('b');
      memory.set('c', entry('3'));

      expect([memory.peek('a')?.value, memory.peek('b')?.value]).toEqual([undefined, '2']);
    },
  );

  test('drops the entry that was used least recently, and a read of the hottest key counts as a use', () => {
    const memory = lruMemory<string>({ max: 2 });
    memory.set('a', entry('1'));
    memory.set('b', entry('2'));

    memory.get('a');
    memory.get('a');
    memory.set('c', entry('3'));
    memory.get('a');
    memory.set('d', entry('4'));

    expect(['a', 'b', 'c', 'd'].map((key) => memory.peek(key)?.value)).toEqual(['1', undefined, undefined, '4']);
    expect(memory.evictions).toBe(2);
    expect(memory.size).toBe(2);
  });

  test('what was read last is not served once it was replaced, deleted, cleared or dropped', () => {
    const memory = lruMemory<string>({ max: 1 });
    memory.set('a', entry('1'));
    memory.get('a');

    memory.set('a', entry('2'));
    expect(memory.get('a')?.value).toBe('2');
    memory.delete('a');
    expect(memory.get('a')).toBeUndefined();
    memory.set('a', entry('3'));
    memory.get('a');
    memory.clear();
    expect(memory.get('a')).toBeUndefined();
    memory.set('a', entry('4'));
    memory.get('a');
    memory.set('b', entry('5'));
    expect(memory.get('a')).toBeUndefined();
  });

  test('`maxSize` bounds the sum of sizes; what is larger than that is not held', () => {
    const memory = lruMemory<string>({ maxSize: 10, sizeOf: (value) => value.length });

    memory.set('a', entry('12345'));
    memory.set('b', entry('12345'));
    memory.set('c', entry('1'));
    memory.set('d', entry('12345678901'));

    expect(['a', 'b', 'c', 'd'].map((key) => memory.peek(key)?.value)).toEqual([undefined, '12345', '1', undefined]);
  });

  test('a size that makes no sense is an error that names it', () => {
    const memory = lruMemory<string>({ maxSize: 10, sizeOf: () => -1 });

    expect(() => memory.set('a', entry('1'))).toThrow('Expected `result of sizeOf` to be a number > 0');
  });

  test('tells whether a deleted key was held', () => {
    const memory = lruMemory<string>();
    memory.set('a', entry('1'));

    expect([memory.delete('a'), memory.delete('a')]).toEqual([true, false]);
  });
});

describe('a memory tier that may hold millions', () => {
  test('allocates as entries come, not for all of them at once', () => {
    const before = process.memoryUsage().rss;
    const memories = Array.from({ length: 10 }, () => lruMemory<string>({ max: 16_777_216 }));

    expect(process.memoryUsage().rss - before).toBeLessThan(500_000_000);
    expect(memories.map(({ size }) => size)).toEqual(Array.from({ length: 10 }, () => 0));
  });

  test('drops the least recently used entry beyond its bound, like a small one', () => {
    const memory = lruMemory<string>({ max: 100_001 });
    for (let index = 0; index < 100_001; index += 1) memory.set(`${index}`, entry('v'));
    memory.get('0');

    memory.set('one more', entry('v'));

    expect([memory.size, memory.evictions]).toEqual([100_001, 1]);
    expect([memory.peek('0')?.value, memory.peek('1')]).toEqual(['v', undefined]);
  });

  test.each([2 ** 31, 5e7, 16_777_217])('refuses %i entries, which no Map holds', (max) => {
    expect(() => lruMemory({ max })).toThrow('Expected `max` to be at most 16,777,216');
  });
});
