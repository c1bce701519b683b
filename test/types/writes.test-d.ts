import { describe, expectTypeOf, test } from 'vitest';

import { TieredCache } from '../../src/index.js';
import { sqliteQueue } from '../../src/storage/sqlite.js';
import {
  Batcher,
  batchedUpstream,
  memoryQueue,
  WriteBehind,
  type DeadLetter,
  type PendingWrite,
  type WriteOutcome,
  type WriteQueue,
} from '../../src/writes/index.js';

interface Post {
  readonly title: string;
}

const sink = (): void => {};

describe('a batcher', () => {
  test('gives each item its result, or nothing', () => {
    const lengths = new Batcher({ handle: (items: readonly string[]) => items.map(({ length }) => length) });
    expectTypeOf(lengths.add('a')).toEqualTypeOf<Promise<number>>();
    const logged = new Batcher<string>({ handle: async () => {} });
    expectTypeOf(logged.add('a')).toEqualTypeOf<Promise<void>>();
  });

  test('refuses other items and results', () => {
    const batcher = new Batcher<string, number>({ handle: (items) => items.map(() => new Error('no')) });
    expectTypeOf(batcher.pending).toEqualTypeOf<number>();
    // @ts-expect-error An item is a string.
    void batcher.add(1);
    // @ts-expect-error A result is a number or an Error.
    void new Batcher<string, number>({ handle: (items) => items });
    // @ts-expect-error There is no such mode.
    void new Batcher<string>({ handle: () => {}, mode: 'throttle' });
  });

  test('goes under a cache as an upstream', () => {
    const upstream = batchedUpstream<Post>(async (keys) => keys.map((key) => ({ title: key })));
    expectTypeOf(new TieredCache<Post>({ ttl: '1s', upstream }).get('a')).toEqualTypeOf<Promise<Post>>();
  });

  test('that answers with a Map, which may lack keys, has values that may be undefined', () => {
    const found = async (keys: readonly string[]) => new Map(keys.map((key) => [key, { title: key }]));
    const upstream = batchedUpstream<Post | undefined>(found);
    expectTypeOf(upstream('a')).toEqualTypeOf<Promise<Post | undefined>>();
    // @ts-expect-error A key may be missing, and its value would be undefined.
    void batchedUpstream<Post>(found);
  });
});

describe('a write-behind', () => {
  const writes = new WriteBehind<Post>({ sink, queue: memoryQueue() });

  test('takes and gives values of its type', () => {
    expectTypeOf(writes.put('a', { title: '' })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(writes.read('a')).toEqualTypeOf<Promise<Post | undefined>>();
    expectTypeOf(writes.peek('a')).toEqualTypeOf<PendingWrite<Post> | undefined>();
    expectTypeOf(writes.deadLetters.list()).toEqualTypeOf<Promise<DeadLetter<Post>[]>>();
    expectTypeOf(writes.update('a', (post) => post ?? { title: '' })).toEqualTypeOf<Promise<Post>>();
    expectTypeOf(sqliteQueue({ database: 'writes.db' })).toEqualTypeOf<WriteQueue>();
    // @ts-expect-error Not a post.
    void writes.put('a', 'title');
    // @ts-expect-error There may be no current value.
    void writes.update('a', ({ title }) => ({ title }));
    // @ts-expect-error A promise is no value.
    void writes.update('a', async () => ({ title: '' }));
  });

  test('a sink answers for each write, or not at all', () => {
    void new WriteBehind<Post>({
      sink: async (batch, { signal, attempt }): Promise<WriteOutcome<Post>[]> => {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(attempt).toEqualTypeOf<number>();
        return batch.map(({ key, value }) => {
          expectTypeOf(value).toEqualTypeOf<Post | undefined>();
          return key === 'a' ? 'ok' : { conflict: { title: 'theirs' }, at: 1 };
        });
      },
      merge: (pending, incoming) => ({ ...pending, ...incoming }),
      resolve: (local, remote) => (local.title === '' ? 'remote' : remote),
    });
    // @ts-expect-error There is no such outcome.
    void new WriteBehind<Post>({ sink: (batch) => batch.map(() => 'done') });
    // @ts-expect-error The remote value is no post.
    void new WriteBehind<Post>({ sink: () => [{ conflict: 'theirs' }] });
  });

  test('an event is known by its type', () => {
    writes.on('dead-letter', (event) => expectTypeOf(event.reason).toEqualTypeOf<string>());
    writes.on('batch-error', (event) => expectTypeOf(event.retryAt).toEqualTypeOf<number>());
    // @ts-expect-error There is no such event.
    writes.on('delivered', () => {});
  });
});
