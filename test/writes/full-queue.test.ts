import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll, describe, expect, test } from 'vitest';

import type { QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { sqliteQueue } from '../../src/storage/sqlite.js';
import { memoryQueue } from '../../src/writes/index.js';
import { outcomesOf, setupWrites } from '../support/setup-writes.js';

const folder = mkdtempSync(join(tmpdir(), 'soloflight-full-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FULL: Readonly<Record<string, () => Error>> = {
  'the quota of a browser': () => Object.assign(new Error('full'), { code: 'SOLOFLIGHT_STORAGE_FULL' }),
  'a full disk': () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }),
  'SQLite, also in another error': () =>
    new Error('could not keep it', { cause: new Error('database or disk is full') }),
  'Redis over its memory': () => new Error("OOM command not allowed when used memory > 'maxmemory'."),
};

/** A queue that takes nothing more when told so; with `forgets: false`, it can't even remove. */
function fillableQueue(error: () => Error) {
  const stored = memoryQueue();
  const state = { isFull: false, forgets: true };
  const call = async <T>(isRefused: boolean, run: () => T): Promise<Awaited<T>> => {
    await undefined;
    if (isRefused) throw error();
    return await run();
  };
  const queue: WriteQueue = {
    name: 'fillable',
    load: () => stored.load(),
    put: (writes) => call(state.isFull, () => stored.put(writes)),
    remove: (ids) => call(state.isFull && !state.forgets, () => stored.remove(ids)),
    listDead: () => stored.listDead(),
  };
  return { queue, state, ids: async () => (await stored.load()).map((write) => (write as QueuedWrite).id) };
}

describe.each(Object.entries(FULL))('a queue that takes nothing more (%s)', (_which, error) => {
  test('is drained all the same', async () => {
    const { queue, state, ids } = fillableQueue(error);
    const seen: unknown[] = [];
    const { writes } = setupWrites({ queue, ...answering(seen) });
    await writes.put('a', '1');
    await writes.put('b', '2');
    state.isFull = true;

    await writes.flush();

    expect(seen).toHaveLength(2);
    expect([await ids(), writes.status().pending]).toEqual([[], 0]);
  });
});

/** A sink that takes everything. */
function answering(seen: unknown[] = []) {
  return {
    sink: (batch: readonly { readonly id: string; readonly value?: string }[]): void => {
      seen.push(...batch.map(({ id, value }) => `${id}=${value}`));
    },
  };
}

describe('a full queue', () => {
  const full = FULL['a full disk']!;

  test('that can not even forget holds up no other key, and is told later', async () => {
    const { queue, state, ids } = fillableQueue(full);
    const seen: unknown[] = [];
    const { writes, clock } = setupWrites({
      queue,
      maxBatch: 1,
      retry: { initial: '1s', max: '1s' },
      ...answering(seen),
    });
    for (const key of ['a', 'b', 'c']) await writes.put(key, key);
    Object.assign(state, { isFull: true, forgets: false });

    await writes.flush();
    expect(seen).toHaveLength(3);
    state.isFull = false;
    await clock.advanceAsync(2_000);

    expect([seen.length, await ids(), writes.status().pending]).toEqual([3, [], 0]);
  });

  test('gives the sink what it accepted, never what it refused', async () => {
    const { queue, state } = fillableQueue(full);
    const { writes, calls, settle } = setupWrites({ queue });
    await writes.put('a', 'accepted');
    state.isFull = true;
    const puts = [writes.put('a', 'refused')];
    void writes.flush();
    await settle();
    puts.push(writes.put('a', 'refused, too'));
    calls[0]?.answer(['ok']);
    await settle();

    expect(await outcomesOf(puts)).toMatchObject([
      { reason: { code: 'SOLOFLIGHT_WRITE_QUEUE' } },
      { reason: { code: 'SOLOFLIGHT_WRITE_QUEUE' } },
    ]);
    await writes.flush();
    expect(calls.flatMap((call) => call.writes.map(({ value }) => value))).toEqual(['accepted']);
  });

  test('counts the attempts of what the sink does not take, so that they end', async () => {
    const { queue, state } = fillableQueue(full);
    const attempts: number[] = [];
    const { writes, events, clock } = setupWrites({
      queue,
      retry: { attempts: 3, initial: '1s', max: '1s' },
      sink: (batch) => {
        attempts.push(batch[0]!.attempts);
        return ['retry'];
      },
    });
    await writes.put('a', '1');
    state.isFull = true;

    void writes.flush();
    await clock.advanceAsync(5_000);
    state.isFull = false;
    await clock.advanceAsync(5_000);

    expect(attempts).toEqual([1, 2, 3]);
    expect(events.filter(({ type }) => type === 'dead-letter')).toHaveLength(1);
  });

  test('and a crash before it forgot: an id never stands for two values', async () => {
    const { queue, state } = fillableQueue(full);
    const seen: string[] = [];
    const first = setupWrites({ queue, ...answering(seen) });
    await first.writes.put('a', '1');
    Object.assign(state, { isFull: true, forgets: false });
    await first.writes.flush();
    state.isFull = false;

    // The next process reads the queue, as the crash left it.
    const second = setupWrites({ queue, ...answering(seen) });
    await second.writes.put('a', '2');
    await second.writes.flush();

    expect(seen.map((text) => text.split('=')[1])).toEqual(['1', '2']);
    expect(new Set(seen.map((text) => text.split('=')[0])).size).toBe(2);
    await first.writes.close({ abort: true });
  });

  test('in SQLite is drained', async () => {
    const database = new DatabaseSync(join(folder, 'full.sqlite'));
    const seen: unknown[] = [];
    const { writes } = setupWrites({ queue: sqliteQueue({ database }), flushEvery: Infinity, ...answering(seen) });
    await writes.put('a', 'x'.repeat(100));
    const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number };
    database.exec(`PRAGMA max_page_count = ${pages}`);
    const refused = await outcomesOf([writes.put('b', 'x'.repeat(100_000))]);
    // Fills what is left of the last page.
    for (let size = 3_000; size > 0; size = Math.floor(size / 2))
      await outcomesOf([writes.put(`filler ${size}`, 'x'.repeat(size))]);

    await writes.flush();

    expect(refused).toMatchObject([{ reason: { code: 'SOLOFLIGHT_WRITE_QUEUE' } }]);
    expect([seen.length > 0, writes.status().pending]).toEqual([true, 0]);
    await writes.close();
    database.close();
  });
});
