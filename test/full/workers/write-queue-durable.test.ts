import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { durableQueue, type DurableQueueOptions } from '../../../src/cloudflare/index.js';
import { gzip, structuredCloneCodec } from '../../../src/codecs/index.js';
import type { MaybePromise, QueuedWrite, WriteQueue } from '../../../src/contracts.js';
import { writeQueueSuite } from '../../../src/testing/index.js';
import { waitPatiently } from '../../support/patience.js';
import type { BareObject } from '../../workers/worker.js';

waitPatiently();

/** The object in which each open queue lives. */
const homes = new Map<WriteQueue, DurableObjectStub<BareObject>>();

/** A queue in an object of its own: every call goes into that object, as it would from code that runs there. */
function open(options: DurableQueueOptions = {}): WriteQueue {
  const stub = env.BARE.getByName(`queue-${homes.size}`);
  const inside = <T>(use: (queue: WriteQueue) => MaybePromise<T>): Promise<T> =>
    runInDurableObject(stub, async (_object, { storage }) => await use(durableQueue(storage, options)));
  const queue: WriteQueue = {
    name: 'durable-object',
    load: () => inside((queue) => queue.load()),
    put: (writes) => inside((queue) => queue.put(writes)),
    remove: (ids) => inside((queue) => queue.remove(ids)),
    listDead: () => inside((queue) => queue.listDead()),
    own: async (owner, ms, takeOver) => {
      const ownership = await inside((queue) => queue.own!(owner, ms, takeOver));
      return (
        ownership && {
          put: (writes) => inside(() => ownership.put(writes)),
          remove: (ids) => inside(() => ownership.remove(ids)),
          release: () => inside(() => ownership.release()),
        }
      );
    },
  };
  homes.set(queue, stub);
  return queue;
}

/** The same queue after its object has lost all it had in memory. */
async function reopen(queue: WriteQueue): Promise<WriteQueue> {
  await evictDurableObject(homes.get(queue)!);
  return queue;
}

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const supports = { references: false, unstorable: () => {}, own: true, reopen } as const;

describe('durableQueue', () => {
  writeQueueSuite(runner, { open: () => open(), supports });
});

describe('durableQueue that compresses', () => {
  writeQueueSuite(runner, { open: () => open({ codec: gzip(structuredCloneCodec, { above: 64 }) }), supports });
});

const write: QueuedWrite = {
  ...{ id: 'w-1', sequence: 1, key: 'k', kind: 'put', value: 'x'.repeat(3_000_000), at: 1 },
  ...{ attempts: 0, revision: 0, triedFor: 0, whole: false, dead: undefined },
};

/** Runs `run` in an object of its own. */
function inObject(run: (storage: DurableObjectStorage) => unknown): Promise<unknown> {
  return runInDurableObject(env.BARE.getByName(crypto.randomUUID()), (_object, { storage }) => run(storage));
}

function rows(storage: DurableObjectStorage, table: string): number {
  return storage.sql.exec<{ rows: number }>(`SELECT count(*) AS rows FROM ${table}`).one().rows;
}

describe('a value too long for one row', () => {
  test('takes its chunks along when it is replaced or removed', () =>
    inObject(async (storage) => {
      const queue = durableQueue(storage);
      await queue.put([write, { ...write, id: 'w-2' }]);
      const before = rows(storage, 'soloflight_writes_chunks');

      await queue.put([{ ...write, value: 'short' }]);
      await queue.remove(['w-2']);

      expect(before).toBeGreaterThanOrEqual(6);
      expect(rows(storage, 'soloflight_writes_chunks')).toBe(0);
      expect(await queue.load()).toEqual([{ ...write, value: 'short' }]);
    }));

  test('of which a chunk is missing costs none of the others', () =>
    inObject(async (storage) => {
      const queue = durableQueue(storage);
      await queue.put([write, { ...write, id: 'w-2', sequence: 2, value: 'whole' }]);
      storage.sql.exec('DELETE FROM soloflight_writes_chunks WHERE part = 1');

      const [broken, whole] = await queue.load();

      expect(broken).toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE' });
      expect(whole).toMatchObject({ id: 'w-2', value: 'whole' });
      expect(rows(storage, 'soloflight_writes')).toBe(2);
    }));

  test('beyond 32 MB is refused, with what to do', () =>
    inObject((storage) => {
      const queue = durableQueue(storage);

      expect(() => queue.put([{ ...write, value: new Uint8Array(32_000_001) }])).toThrow(/compress it/);
    }));
});

describe('a queue that compresses', () => {
  test('stores large values small, and small ones as they are', () =>
    inObject(async (storage) => {
      const queue = durableQueue(storage, { codec: gzip(structuredCloneCodec) });
      await queue.put([write]);

      const [{ bytes } = { bytes: NaN }] = storage.sql
        .exec<{ bytes: number }>('SELECT length(value) AS bytes FROM soloflight_writes')
        .toArray();

      expect(bytes).toBeLessThan(10_000);
      expect(await queue.load()).toEqual([write]);
    }));
});

test('a queue forgets everything with deleteAll, and works on', () =>
  inObject(async (storage) => {
    const queue = durableQueue(storage);
    await queue.put([{ ...write, value: 1 }]);
    await storage.deleteAll();

    expect(await queue.load()).toEqual([]);
    await queue.put([{ ...write, value: 2 }]);
    expect(await queue.load()).toEqual([{ ...write, value: 2 }]);
  }));

test('misuse is named', () =>
  inObject((storage) => {
    expect(() => durableQueue({} as never)).toThrow(/Expected `storage` to be the `ctx.storage`/);
    expect(() => durableQueue(storage, null as never)).toThrow(/Expected `options` to be an object/);
    expect(() => durableQueue(storage, { table: 'a-b' })).toThrow(/Expected `table` to be a name/);
    expect(() => durableQueue(storage, { codec: {} as never })).toThrow(/Expected `codec` to be a codec/);
  }));
