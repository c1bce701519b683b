import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis-6';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { BackplaneMessage } from '../../../src/contracts.js';
import type { RedisClient } from '../../../src/redis/client.js';
import { redisBackplane, redisQueue, redisStorage } from '../../../src/redis/index.js';
import { sampleEntry } from '../../../src/testing/storage-suite/samples.js';
import { sampleWrite } from '../../../src/testing/write-queue-suite/checks.js';
import { startCluster, type RedisClusterServers } from '../../support/redis-cluster.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';
import { newName } from '../../support/redis-suites.ts';
import { until } from '../../support/until.ts';

const keepUntil = Date.now() + 3_600_000;

let server: RedisServer;
let servers: RedisClusterServers;
beforeAll(async () => {
  [server, servers] = await Promise.all([startRedis(), startCluster()]);
});
afterAll(() => Promise.all([server.stop(), servers.stop()]));

const nodes = () => servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
const PIPELINED = { enableAutoPipelining: true, autoResubscribe: false } as const;

/** Clients that gather commands of one turn in pipelines by themselves. */
const CLIENTS: Readonly<Record<string, () => Redis | Cluster>> = {
  'ioredis 5': () => new Redis(server.url, PIPELINED),
  'ioredis 6': () => new Redis6(server.url, { ...PIPELINED, protocol: 3 }) as never,
  'Cluster of ioredis 5': () => new Cluster(nodes(), { ...PIPELINED, shardedSubscribers: true }),
  'Cluster of ioredis 6': () => new Cluster6(nodes(), { ...PIPELINED, shardedSubscribers: true }) as never,
};

describe.each(Object.entries(CLIENTS))('%s with enableAutoPipelining', (_, connect) => {
  const clients: RedisClient[] = [];
  const ends: (() => void)[] = [];
  beforeAll(async () => {
    for (let number = 0; number < 3; number += 1) {
      const client = connect();
      client.on('error', () => {});
      await client.ping();
      clients.push(client);
      ends.push(() => client.disconnect());
    }
  });
  afterAll(() => ends.forEach((end) => end()));

  test('a storage keeps, finds and removes entries, and gives leases', async () => {
    const storage = redisStorage({ client: clients[0]!, prefix: `${newName('p')}:` });
    const writes = ['a', 'b', 'c'].map((key) => ({ key, entry: sampleEntry(Date.now(), { value: key }), keepUntil }));
    const read = async () => (await storage.getMany!(['a', 'b', 'c'])).map((entry) => entry?.value);

    await storage.setMany!(writes);
    expect(await read()).toEqual(['a', 'b', 'c']);
    await storage.deleteMany!(['a', 'b']);
    expect(await read()).toEqual([undefined, undefined, 'c']);
    const answer = await storage.lease!('a', 60_000, -Infinity);
    expect(answer.kind === 'lease' && (await answer.lease.store(writes[0]!.entry, keepUntil))).toBe(true);
    expect(await read()).toEqual(['a', undefined, 'c']);
    await storage.clear!();
    expect(await read()).toEqual([undefined, undefined, undefined]);
  });

  test('a queue keeps its writes', async () => {
    const queue = redisQueue({ client: clients[0]!, queue: newName('q') });
    const write = sampleWrite(1);

    await queue.put([write]);

    expect(await queue.load()).toEqual([write]);
  });

  test('a message of a backplane arrives', async () => {
    const channel = newName('channel');
    const plug = (subscriber: RedisClient) => redisBackplane({ publisher: clients[0]!, subscriber, channel });
    const heard: BackplaneMessage[] = [];
    const end = await plug(clients[1]!).subscribe({ receive: (message) => heard.push(message), lost: () => {} });

    await plug(clients[2]!).publish([{ origin: 'o', sequence: 1, kind: 'clear', space: [], at: 1 }]);

    await until('it is heard', () => heard.length > 0);
    expect(heard[0]!.kind).toBe('clear');
    await end();
  });

  test("the caller's own commands still go in pipelines", async () => {
    const client = clients[0] as Redis;
    const storage = redisStorage({ client, prefix: `${newName('p')}:` });

    const answers = await Promise.all([client.set('own', 'v'), storage.get('k'), client.get('own')]);

    expect(answers).toEqual(['OK', undefined, 'v']);
  });
});
