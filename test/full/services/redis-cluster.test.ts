import { Cluster, Redis } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { RedisClient, Word } from '../../../src/redis/client.js';
import { redisBackplane, redisQueue, redisStorage } from '../../../src/redis/index.js';
import { KeyNames, slotOf } from '../../../src/redis/names.js';
import { backplaneSuite, storageSuite, writeQueueSuite } from '../../../src/testing/index.js';
import type { ConnectedClient } from '../../support/redis-clients.ts';
import { startCluster, type RedisClusterServers } from '../../support/redis-cluster.ts';
import { runner, withoutNamespaces } from '../../support/redis-suites.ts';

let servers: RedisClusterServers;
let number = 0;

beforeAll(async () => {
  servers = await startCluster();
});
afterAll(() => servers.stop());

async function keySlot(name: Word): Promise<unknown> {
  const client = new Redis(servers.nodes[0]!.url);
  try {
    return await client.callBuffer('CLUSTER', 'KEYSLOT', name as never);
  } finally {
    client.disconnect();
  }
}

const CLIENTS: Readonly<Record<string, () => Promise<ConnectedClient>>> = {
  'createCluster of node-redis': async () => {
    const client = createCluster({ rootNodes: servers.nodes.map(({ url }) => ({ url })) });
    client.on('error', () => {});
    await client.connect();
    return { client, end: () => Promise.resolve(client.destroy()) };
  },
  'Cluster of ioredis': async () => {
    const client = new Cluster(
      servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      { shardedSubscribers: true },
    );
    client.on('error', () => {});
    await client.ping();
    return { client, end: () => Promise.resolve(client.disconnect()) };
  },
};

describe.each(Object.entries(CLIENTS))('%s', (name, connect) => {
  let connected: ConnectedClient;
  let others: ConnectedClient[];
  beforeAll(async () => {
    connected = await connect();
    others = await Promise.all([connect(), connect()]);
  });
  afterAll(() => Promise.all([connected, ...others].map(({ end }) => end())));

  for (const lease of name === 'Cluster of ioredis' ? [true] : [true, false]) {
    describe(`storage with lease: ${lease}`, () => {
      storageSuite(withoutNamespaces, {
        open: () => {
          number += 1;
          return redisStorage({ client: connected.client, prefix: `c${number}:`, lease });
        },
        supports: { references: false, sweep: false, lease, version: true, keys: true },
      });
    });
  }

  describe('queue', () => {
    writeQueueSuite(runner, {
      open: () => {
        number += 1;
        return redisQueue({ client: connected.client, queue: `q${number}`, prefix: number % 2 === 0 ? 'c:' : 'c{x}:' });
      },
      supports: { references: false, own: true },
    });
  });

  describe.each([true, false])('backplane, sharded: %s', (sharded) => {
    backplaneSuite(runner, {
      open: () => {
        number += 1;
        const channel = `cluster ${number}`;
        const plug = (subscriber: RedisClient) =>
          redisBackplane({ publisher: connected.client, subscriber, channel, sharded });
        return [plug(others[0]!.client), plug(others[1]!.client)];
      },
    });
  });

  test('slots are those that the cluster knows', async () => {
    const names = new KeyNames('p:');
    for (const key of ['', 'a', '}', '{', '{}', 'a}b', 'ä漢\u{1f4a9}', 'a\ud800', 'foo{bar}baz', '{x}']) {
      const [entry, lease] = [names.entry(key), names.lease(key)];
      expect(slotOf(lease)).toBe(slotOf(entry));
      // node-redis finds the slot by itself: what it sends goes where the cluster would have it.
      await redisStorage({ client: others[0]!.client, prefix: 'p:' }).delete(key);
      expect(await keySlot(entry)).toBe(slotOf(entry));
    }
  });
});
