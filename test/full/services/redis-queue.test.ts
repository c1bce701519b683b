import { beforeAll, describe, expect, test } from 'vitest';

import { structuredCloneCodec } from '../../../src/codecs/index.js';
import type { QueuedWrite } from '../../../src/contracts.js';
import { redisQueue, redisStorage } from '../../../src/redis/index.js';
import { WriteBehind } from '../../../src/writes/index.js';
import { CLIENTS, command, FIRST, OTHERS, type ClientName, type ConnectedClient } from '../../support/redis-clients.ts';
import { startRedis } from '../../support/redis-server.ts';
import { connections, redisQueueSuite, sharedRedis } from '../../support/redis-suites.ts';

const redis = sharedRedis();

// The first client passes with JSON in test/services/redis-queue.test.ts.
describe.each<ClientName>([FIRST, ...OTHERS])('%s, with bytes', (client) => {
  redisQueueSuite(redis, client, structuredCloneCodec);
});

describe.each(OTHERS)('%s, with JSON', (client) => {
  redisQueueSuite(redis, client);
});

describe('a queue in Redis', () => {
  let client: ConnectedClient['client'];
  const connected = connections(redis, FIRST);
  beforeAll(() => {
    client = connected[0]!.client;
  });

  const write: QueuedWrite = {
    ...{ id: 'w-1', sequence: 1, key: 'k', kind: 'put', value: 1, at: 1 },
    ...{ attempts: 0, revision: 0, triedFor: 0, whole: false, dead: undefined },
  };

  test('gives what can not be read as an error, and leaves it there', async () => {
    const queue = redisQueue({ client, queue: 'corrupt' });
    await queue.put([write]);
    for (const [id, record] of [
      ['no-head', 'nonsense'],
      ['no-json', '{\n1'],
      ['newer', '{"format":2,"key":"k"}\n1'],
      ['copied', '{"format":1,"id":"w-1","key":"k","kind":"put","codec":"json","text":true}\n1'],
      ['other-codec', '{"format":1,"id":"x","key":"k","kind":"put","codec":"v8","text":true}\n1'],
    ] as const)
      await command(client, ['HSET', 'soloflight:writes{corrupt}', id, record]);

    const found = await queue.load();

    expect(found.filter((one) => one instanceof Error)).toHaveLength(5);
    expect(found.filter((one) => one instanceof Error)).toEqual(
      Array.from({ length: 5 }, () => expect.objectContaining({ code: 'SOLOFLIGHT_UNDECODABLE' })),
    );
    expect(found).toContainEqual(write);
    expect(await queue.load()).toHaveLength(6);
  });

  test('is not cleared together with a cache of its prefix', async () => {
    const queue = redisQueue({ client, queue: 'kept', prefix: 'both:' });
    await queue.put([write]);
    await redisStorage({ client, prefix: 'both:' }).clear?.();

    expect(await queue.load()).toEqual([write]);
  });

  test('is read whole when it is long', async () => {
    const queue = redisQueue({ client, queue: 'long' });
    const writes = Array.from({ length: 5_000 }, (_, sequence) => ({ ...write, id: `w-${sequence}`, sequence }));
    await queue.put(writes);

    expect(new Set((await queue.load()).map((one) => (one as QueuedWrite).id)).size).toBe(5_000);
  });

  test('goes on after Redis has forgotten its scripts', async () => {
    const queue = redisQueue({ client, queue: 'scripts' });
    await queue.put([write]);
    await command(client, ['SCRIPT', 'FLUSH']);

    await queue.put([{ ...write, id: 'w-2' }]);
    await command(client, ['SCRIPT', 'FLUSH']);
    await queue.remove(['w-1']);

    expect(await queue.load()).toEqual([{ ...write, id: 'w-2' }]);
  });

  test('brings what one process accepted to the sink of the next one', async () => {
    const delivered: unknown[] = [];
    const open = (): WriteBehind<number> =>
      new WriteBehind<number>({
        queue: redisQueue({ client, queue: 'restart' }),
        sink: (writes) => void delivered.push(...writes.map(({ key, value }) => [key, value])),
      });
    const first = open();
    await first.put('a', 1);
    await first.put('b', 2);
    await first.close({ flush: false });

    const second = open();
    await second.put('a', 3);
    await second.close();

    expect(delivered).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
    expect(await redisQueue({ client, queue: 'restart' }).load()).toEqual([]);
  });

  test('refuses calls after it was closed', async () => {
    const queue = redisQueue({ client, queue: 'closed' });
    await queue.close?.();

    await expect(queue.put([write])).rejects.toMatchObject({ code: 'SOLOFLIGHT_QUEUE_CLOSED' });
    await expect(queue.load()).rejects.toMatchObject({ code: 'SOLOFLIGHT_QUEUE_CLOSED' });
  });

  test('names misuse', () => {
    expect(() => redisQueue(undefined as never)).toThrow(/Expected `options` to be an object/);
    expect(() => redisQueue({ queue: 'q' } as never)).toThrow(/Expected `client` to be a client of node-redis/);
    expect(() => redisQueue({ client } as never)).toThrow(/Expected `queue` to be a name/);
    expect(() => redisQueue({ client, queue: '.q' })).toThrow(/Expected `queue` to be a name/);
    expect(() => redisQueue({ client, queue: 'q', prefix: '{.' })).toThrow(/Expected `prefix`/);
    expect(() => redisQueue({ client, queue: 'q', codec: {} as never })).toThrow(/Expected `codec`/);
  });
});

describe('while Redis is full', () => {
  test('a write that it does not take is not accepted, and what it has is delivered', async () => {
    const own = await startRedis();
    const { client, end } = await CLIENTS['ioredis 5, RESP2'](own.url);
    try {
      const delivered: unknown[] = [];
      const writes = new WriteBehind<number>({
        queue: redisQueue({ client, queue: 'full' }),
        sink: (batch) => void delivered.push(...batch.map(({ key }) => key)),
      });
      await writes.put('accepted', 1);
      await command(client, ['CONFIG', 'SET', 'maxmemory', '1']);
      await expect(writes.put('refused', 1)).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
      expect(await writes.read('refused')).toBeUndefined();
      await writes.flush();
      const { pending } = writes.status();
      await writes.close();

      expect(pending).toBe(0);
      expect(delivered).toEqual(['accepted']);
    } finally {
      await end();
      await own.stop();
    }
  });
});
