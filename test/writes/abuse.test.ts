import { describe, expect, test, vi } from 'vitest';

import { WriteBehind } from '../../src/writes/index.js';
import { setupWrites } from '../support/setup-writes.js';

const ok = { sink: (): void => {} };

describe('a write-behind built with an option that makes no sense', () => {
  test.each([
    [undefined, 'Expected `options` to be an object, got `undefined`'],
    [{}, 'Expected `sink` to be a function, got `undefined`'],
    [{ sink: 'https://…' }, 'Expected `sink` to be a function'],
    [{ ...ok, queue: new Map() }, 'Expected `queue` to be a write queue (missing: load, put, remove, listDead)'],
    [{ ...ok, flushEvery: -1 }, 'Expected `flushEvery` to be a duration ≥ 0 or Infinity'],
    [{ ...ok, maxBatch: 0 }, 'Expected `maxBatch` to be an integer ≥ 1 or Infinity, got `0` (number)'],
    [{ ...ok, maxPending: '9' }, "Expected `maxPending` to be an integer ≥ 1 or Infinity, got `'9'` (string)"],
    [{ ...ok, overflow: 'drop' }, "Expected `overflow` to be 'wait' or 'reject', got `'drop'` (string)"],
    [{ ...ok, merge: true }, 'Expected `merge` to be a function'],
    [{ ...ok, resolve: 'remote' }, 'Expected `resolve` to be a function'],
    [{ ...ok, current: {} }, 'Expected `current` to be a function'],
    [{ ...ok, schedule: 1 }, 'Expected `schedule` to be a function'],
    [{ ...ok, retryFor: 'long' }, 'Expected `retryFor` to be a duration ≥ 0 or Infinity'],
    [{ ...ok, retry: { initial: '2m', max: '1m' } }, 'Expected `retry.max` to be at least `retry.initial`'],
    [{ ...ok, retry: { split: true } }, 'Expected `options` to be without unknown names'],
    [{ ...ok, maxDuration: 0 }, 'Expected `maxDuration` to be a duration > 0 or Infinity'],
    [{ ...ok, clock: Date }, 'Expected `clock` to be a clock'],
    [{ ...ok, flushevery: '1s' }, 'Expected `options` to be without unknown names'],
  ])('%j is a TypeError: %s', (options, message) => {
    const build = (): unknown => new WriteBehind(options as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });
});

describe('a call that makes no sense', () => {
  test.each([undefined, null, 1, {}, Symbol('k')])('a key of the wrong type leaves no trace: %s', async (key) => {
    const { writes } = setupWrites();
    const bad = key as never;

    for (const call of [writes.put(bad, 'v'), writes.delete(bad), writes.update(bad, () => 'v'), writes.read(bad)])
      await expect(call).rejects.toThrow(/^Expected `key` to be a string/);
    expect(() => writes.peek(bad)).toThrow('Expected `key` to be a string');

    expect(writes.status()).toMatchObject({ pending: 0, nextAttempt: null });
  });

  test('values, functions, signals, listeners and ids are checked where they are given', async () => {
    const { writes } = setupWrites();

    await expect(writes.put('k', undefined as never)).rejects.toThrow('Expected `value` to be anything but undefined');
    await expect(writes.update('k', 'v' as never)).rejects.toThrow('Expected `fn` to be a function');
    await expect(writes.update('k', () => 'v', { current: 'v' as never })).rejects.toThrow(
      'Expected `current` to be a function',
    );
    await expect(writes.put('k', 'v', { signal: {} as never })).rejects.toThrow(
      'Expected `signal` to be an AbortSignal',
    );
    await expect(writes.deadLetters.requeue(1 as never)).rejects.toThrow('Expected `id` to be the id of a dead letter');
    await expect(writes.deadLetters.drop(undefined as never)).rejects.toThrow('Expected `id`');
    expect(() => writes.on('delivered' as never, () => {})).toThrow('Expected `type` to be the name of an event');
    expect(() => writes.on('deliver', undefined as never)).toThrow('Expected `listener` to be a function');

    expect(writes.status().pending).toBe(0);
  });

  test('a promise is no value, neither one that is put nor one that a function gives', async () => {
    const promise = (async () => 'v') as unknown as () => string;
    const { writes, calls, events, settle } = setupWrites({ merge: promise, resolve: promise });

    await expect(writes.put('k', promise())).rejects.toThrow('Expected `value` to be a value, not a promise of one');
    await expect(writes.update('k', promise)).rejects.toThrow('Expected `result of fn` to be a value, not a promise');
    await writes.put('k', 'v');
    await expect(writes.put('k', 'w')).rejects.toThrow('Expected `result of merge` to be a value');
    void writes.flush();
    await settle();
    calls[0]!.answer([{ conflict: 'theirs' }]);
    await settle();

    const reasons = events.flatMap((event) => (event.type === 'error' ? [event.source, String(event.error)] : []));
    expect(reasons).toEqual([
      'resolve',
      expect.stringContaining("Expected `result of resolve` to be a value or 'remote'"),
    ]);
    expect(writes.peek('k')).toMatchObject({ value: 'v' });
  });
});

test('a listener that throws changes nothing, and is told of', async () => {
  const { writes, settle, calls, events } = setupWrites();
  writes.on('accept', () => {
    throw new Error('listener');
  });
  const asynchronous = vi.fn<() => unknown>().mockRejectedValue(new Error('async listener'));
  writes.on('deliver', asynchronous);

  await writes.put('a', '1');
  void writes.flush();
  await settle();
  calls[0]!.answer();
  await settle();

  expect(writes.status().pending).toBe(0);
  expect(events.filter(({ type }) => type === 'error')).toEqual([
    { type: 'error', source: 'listener', error: new Error('listener') },
    { type: 'error', source: 'listener', error: new Error('async listener') },
  ]);
});
