import { describe, expect, test } from 'vitest';

import { mapStorage, type CacheEvent } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind, type WriteBehindOptions } from '../../src/writes/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

/** A cache over a database, which gets its writes in batches, when it is up. */
function setup(
  options: Parameters<typeof setupCache<string>>[0] = {},
  behind: Partial<WriteBehindOptions<string>> = {},
) {
  const clock = options.clock ?? manualClock();
  const database = new Map<string, string>();
  const state = { up: true, loads: 0 };
  const writes = new WriteBehind<string>({
    clock,
    sink: (batch) => {
      if (!state.up) throw new Error('offline');
      for (const { key, value } of batch) {
        if (value === undefined) database.delete(key);
        else database.set(key, value);
      }
    },
    ...behind,
  });
  const parts = setupCache({
    writes,
    clock,
    upstream: (key) => {
      state.loads += 1;
      if (!state.up) throw new Error('offline');
      return database.get(key) as string;
    },
    ...options,
  });
  return { ...parts, clock, database, state, writes };
}

describe('a cache over a WriteBehind', () => {
  test('takes a write at once, and every read sees it before the database does', async () => {
    const { cache, database, state, writes } = setup({ storage: mapStorage() });

    await cache.set('k', 'v');

    expect([cache.peek('k'), await cache.get('k'), state.loads, database.size]).toEqual(['v', 'v', 0, 0]);
    await writes.flush();
    expect(database.get('k')).toBe('v');
    await writes.close();
  });

  test('reads what is pending when no tier has it any more, rather than what the database still has', async () => {
    const { cache, database, state, writes } = setup({ memory: false });
    database.set('k', 'old');
    await cache.set('k', 'new');

    expect(await cache.lookup('k')).toMatchObject({ value: 'new', tier: 'writes' });
    expect(await cache.getIfCached('k')).toBe('new');
    expect(await cache.refresh('k')).toBe('new');
    expect(await cache.getMany(['k'])).toEqual(['new']);
    expect(state.loads).toBe(0);
    await writes.flush();
    expect(await cache.refresh('k')).toBe('new');
    expect(state.loads).toBe(1);
    await writes.close();
  });

  test('after a restart, what waits in the queue comes before what storage has from before', async () => {
    const storage = mapStorage();
    const queue = memoryQueue();
    const before = setup({ storage }, { queue });
    before.database.set('k', 'oldest');
    await before.cache.get('k');
    await before.cache.idle();
    await before.writes.put('k', 'newest');
    await before.writes.close({ flush: false });
    await storage.set('k', { ...(await storage.get('k'))!, value: 'oldest' }, Infinity);

    const after = setup({ storage, clock: before.clock }, { queue });

    expect(await after.cache.get('k')).toBe('newest');
    await after.cache.idle();
    // It is not stored either: it may be delivered, and changed by another process, before that lands.
    expect(await storage.get('k')).toBeUndefined();
    await after.writes.flush();
    expect(await after.cache.get('k')).toBe('newest');
    await after.writes.close();
  });

  test('sees writes that were made past it', async () => {
    const { cache, database, writes } = setup();
    database.set('k', 'old');
    expect(await cache.get('k')).toBe('old');

    await writes.put('k', 'new');

    expect(await cache.get('k')).toBe('new');
    await writes.close();
  });

  test('sees writes that are made past it while one of its own is still being stored', async () => {
    let stored: () => void = () => {};
    const storage = Object.assign(mapStorage(), { set: () => new Promise<void>((resolve) => (stored = resolve)) });
    const { cache, writes } = setup({ storage });
    const written = cache.set('k', 'own');
    await settle();

    await writes.put('k', 'newer');

    expect(await cache.get('k')).toBe('newer');
    stored();
    await written;
    expect(await cache.get('k')).toBe('newer');
    stored();
    await writes.close();
  });

  test('sees writes that are made past it between the acceptance of its own and the news of that', async () => {
    const { cache, writes } = setup();
    const peek = writes.peek.bind(writes);
    // As from another tab: what was read is on its way while a newer write is accepted.
    writes.peek = (key) => {
      const read = peek(key);
      writes.peek = peek;
      return writes.put(key, 'newer').then(() => read) as never;
    };

    await cache.set('k', 'own');

    expect(await cache.get('k')).toBe('newer');
    await writes.close();
  });

  test('sees a delete that is made past it while one of its own is still being stored', async () => {
    let stored: () => void = () => {};
    const storage = Object.assign(mapStorage(), { set: () => new Promise<void>((resolve) => (stored = resolve)) });
    const { cache, writes } = setup({ storage });
    const written = cache.set('k', 'own');
    await settle();

    await writes.delete('k');

    expect(await cache.get('k')).toBeUndefined();
    stored();
    await written;
    expect(await cache.get('k')).toBeUndefined();
    stored();
    await writes.close();
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'sees a delete that is made past it %i turns after a write of its own began',
    async (turns) => {
      for (const begin of ['set', 'update'] as const) {
        const { cache, writes } = setup();
        await writes.open();

        const written = begin === 'set' ? cache.set('k', 'own') : cache.update('k', () => 'own');
        for (let turn = 0; turn < turns; turn += 1) await null;
        await writes.delete('k');
        await written;

        const { kind } = writes.peek('k')!;
        expect(await cache.get('k')).toBe(kind === 'delete' ? undefined : 'own');
        await writes.close();
      }
    },
  );

  test('sees what was written past it and delivered while its own write was being accepted', async () => {
    const queue = memoryQueue();
    const { cache, database, writes } = setup({}, { queue });
    await writes.open();
    const put = writes.put.bind(writes);
    writes.put = async (key, value, options) => {
      await put(key, value, options);
      await put(key, 'newer');
      await writes.flush();
    };

    await cache.set('k', 'own');

    expect([database.get('k'), await cache.get('k')]).toEqual(['newer', 'newer']);
    await writes.close();
  });

  test('stores what a merge made of the write', async () => {
    const { cache, writes } = setup({}, { merge: (pending, incoming) => `${pending}+${incoming}` });

    await cache.set('k', 'a');
    await cache.set('k', 'b');

    expect(await cache.get('k')).toBe('a+b');
    await writes.close();
  });

  test('a deleted key is absent before the database knows', async () => {
    const { cache, database, writes } = setup();
    database.set('k', 'old');

    await cache.set('k', undefined as never);

    expect(await cache.get('k')).toBeUndefined();
    await writes.flush();
    expect(database.has('k')).toBe(false);
    await writes.close();
  });

  test('a write that the database decides otherwise is not kept', async () => {
    const { cache, database, writes } = setup({}, { sink: () => [{ conflict: 'remote' }], resolve: () => 'remote' });
    database.set('k', 'remote');
    await cache.set('k', 'local');
    expect(await cache.get('k')).toBe('local');

    await writes.flush();
    await settle();

    expect(await cache.get('k')).toBe('remote');
    await writes.close();
  });

  test('nor is it read again while a slow queue still forgets it', async () => {
    const memory = memoryQueue();
    const remove = memory.remove.bind(memory);
    let forget: () => void = () => {};
    const gate = new Promise<void>((resolve) => (forget = resolve));
    const queue = Object.assign(memory, { remove: (ids: readonly string[]) => gate.then(() => remove(ids)) });
    const { cache, database, writes } = setup(
      { memory: false, storage: mapStorage() },
      { queue, sink: () => [{ conflict: 'remote' }], resolve: () => 'remote' },
    );
    database.set('k', 'remote');
    await cache.set('k', 'local');

    const flushed = writes.flush();
    await settle();
    await cache.get('k');
    await cache.idle();
    forget();
    await flushed;
    await settle();

    expect(await cache.get('k')).toBe('remote');
    await writes.close({ flush: false });
  });

  test('a write that is given up is not kept', async () => {
    const { cache, database, writes } = setup({}, { sink: () => [{ reject: 'no' }] });
    database.set('k', 'theirs');
    await cache.set('k', 'ours');

    await writes.flush();
    await settle();

    expect(await cache.get('k')).toBe('theirs');
    await writes.close();
  });

  test('nor is it kept when it is given up while storage still takes it', async () => {
    const storage = mapStorage();
    const inner = mapStorage();
    const stored: (() => void)[] = [];
    const gate = (): Promise<void> => new Promise((resolve) => stored.push(resolve));
    Object.assign(storage, {
      version: (...args: Parameters<NonNullable<typeof inner.version>>) => inner.version!(...args),
      setIfVersion: (...args: Parameters<NonNullable<typeof inner.setIfVersion>>) =>
        gate().then(() => inner.setIfVersion!(...args)),
      get: (key: string) => inner.get(key),
      delete: (key: string) => inner.delete(key),
    });
    const { cache, database, writes } = setup({ storage }, { sink: () => [{ reject: 'no' }] });
    database.set('k', 'theirs');
    const written = cache.set('k', 'ours');
    await settle();

    await writes.flush();
    stored[0]!();
    await written;
    await settle();

    expect(await cache.get('k')).toBe('theirs');
    await settle();
    stored[1]!();
    await writes.close();
  });

  test('nor does it come back when the next one of its key is not accepted', async () => {
    const queue = memoryQueue();
    const put = queue.put.bind(queue);
    const refusals: (() => void)[] = [];
    const refuse = (): Promise<never> =>
      new Promise((_resolve, reject) => refusals.push(() => reject(new Error('disk'))));
    Object.assign(queue, {
      put: (stored: readonly { readonly value: unknown }[]) =>
        stored.some(({ value }) => value === 'second') ? refuse() : put(stored as never),
    });
    let answer: () => void = () => {};
    const { cache, database, writes } = setup(
      { ttl: '1h' },
      { queue, sink: () => new Promise((resolve) => (answer = () => resolve([{ reject: 'no' }]))) },
    );
    database.set('k', 'theirs');
    await cache.set('k', 'first');
    const flushed = writes.flush();
    await settle();

    const second = cache.set('k', 'second');
    await settle();
    answer();
    await settle();
    for (let tries = 0; tries < refusals.length; tries += 1) {
      refusals[tries]!();
      await settle();
    }
    await expect(second).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    await flushed;

    expect(await cache.get('k')).toBe('theirs');
    await writes.close({ flush: false });
  });

  test('a dead letter that is requeued is what readers see again', async () => {
    let verdict: 'ok' | { reject: string } = { reject: 'no' };
    const { cache, database, writes } = setup({ storage: mapStorage() }, { sink: (batch) => batch.map(() => verdict) });
    database.set('k', 'theirs');
    await cache.set('k', 'ours');
    await writes.flush();
    expect(await cache.get('k')).toBe('theirs');
    await cache.idle();

    await writes.deadLetters.requeue((await writes.deadLetters.list())[0]!.id);

    expect(await cache.get('k')).toBe('ours');
    verdict = 'ok';
    await writes.close();
  });

  test('what the queue turns out to hold comes before what memory has', async () => {
    const queue = memoryQueue();
    const before = setup({}, { queue });
    await before.writes.put('k', 'pending');
    await before.writes.close({ flush: false });
    const load = queue.load.bind(queue);
    let readable = false;
    queue.load = () => (readable ? load() : Promise.reject(new Error('not yet')));
    const { cache, database, writes } = setup({}, { queue });
    database.set('k', 'old');
    expect(await cache.get('k')).toBe('old');

    readable = true;
    await writes.open();

    expect(await cache.get('k')).toBe('pending');
    await writes.close();
  });

  test('a write that is not accepted changes nothing', async () => {
    const { cache, writes } = setup({}, { maxPending: 1, overflow: 'reject' });
    await cache.set('a', 'v');

    await expect(cache.set('b', 'v')).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_WRITES' });

    expect(cache.peek('b')).toBeUndefined();
    await writes.close();
  });

  test('goes on without the network: updates build on updates, and are delivered in the end', async () => {
    const { cache, clock, database, state, writes } = setup();
    database.set('k', '1');
    await cache.get('k');
    state.up = false;
    clock.advance(120_000);

    for (const digit of ['2', '3', '4']) {
      await cache.update('k', (current) => `${current}${digit}`, { maxStale: Infinity });
    }
    await writes.flush();
    expect(database.get('k')).toBe('1');
    expect(await cache.get('k')).toBe('1234');
    state.up = true;
    await writes.flush();

    expect(database.get('k')).toBe('1234');
    await writes.close();
  });

  test('an update replaces what is pending, whatever merge there is', async () => {
    const { cache, writes } = setup({}, { merge: (pending, incoming) => `${pending}+${incoming}` });
    await cache.set('k', 'a');

    expect(await cache.update('k', (current) => `${current}!`)).toBe('a!');

    expect([await cache.get('k'), await writes.read('k')]).toEqual(['a!', 'a!']);
    await writes.close();
  });

  test('an update that waits for room builds on what was accepted meanwhile', async () => {
    const { cache, database, writes } = setup({}, { maxPending: 1 });
    database.set('k', 'old');
    await writes.put('other', 'v');

    const accepted = writes.put('k', 'newer');
    const updated = cache.update('k', (current) => `${current}!`);
    await settle();
    expect(writes.status()).toMatchObject({ pending: 1, waiting: 2 });
    await writes.flush();
    await accepted;

    expect(await updated).toBe('newer!');
    expect(await cache.get('k')).toBe('newer!');
    await writes.close();
    expect(database.get('k')).toBe('newer!');
  });

  test('an update that makes nothing of what there is deletes it', async () => {
    const { cache, database, writes } = setup();
    database.set('k', 'old');

    expect(await cache.update('k', () => undefined as never)).toBeUndefined();

    expect([writes.peek('k')?.kind, await cache.get('k')]).toEqual(['delete', undefined]);
    await writes.close();
    expect(database.has('k')).toBe(false);
  });

  test('an update whose function throws leaves what is stored as fresh as it was', async () => {
    const { cache, database, writes } = setup();
    database.set('k', 'old');
    await cache.get('k');

    const updated = cache.update('k', () => {
      throw new Error('cannot');
    });

    await expect(updated).rejects.toThrow('cannot');
    expect(await cache.lookup('k')).toMatchObject({ value: 'old', status: 'hit' });
    expect(writes.status().pending).toBe(0);
    await writes.close();
  });

  test('a ttl that can not be told is reported, and hides no pending write', async () => {
    const { cache, database, writes } = setup({
      ttl: (value) => {
        if (value === 'ours') throw new Error('no ttl');
        return 1_000;
      },
    });
    const errors: CacheEvent[] = [];
    cache.on('error', (event) => errors.push(event));
    database.set('k', 'theirs');
    await writes.put('k', 'ours');

    expect(await cache.get('k')).toBe('ours');

    expect(errors).toMatchObject([{ source: 'ttl', key: 'k', error: new Error('no ttl') }]);
    await writes.close();
  });

  test('a queue that can not be read is told, and reads go on', async () => {
    const queue = Object.assign(memoryQueue(), { load: () => Promise.reject(new Error('disk')) });
    const { cache, database, writes } = setup({}, { queue });
    const errors: CacheEvent[] = [];
    cache.on('error', (event) => errors.push(event));
    database.set('k', 'v');

    expect(await cache.get('k')).toBe('v');

    expect(errors).toMatchObject([{ source: 'writes', key: 'k' }]);
    await writes.close().catch(() => {});
  });
});
