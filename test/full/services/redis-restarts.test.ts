import { Cluster, Redis as Ioredis } from 'ioredis';
import { Redis as Ioredis6 } from 'ioredis-6';
import { createClient, createCluster } from 'redis';
import { createClient as createClient5 } from 'redis-client-5';
import { afterEach, describe, expect, test } from 'vitest';

import type { StorageTier } from '../../../src/contracts.js';
import type { RedisClient } from '../../../src/redis/client.js';
import { redisStorage } from '../../../src/redis/index.js';
import { KeyNames, slotOf } from '../../../src/redis/names.js';
import { sampleEntry } from '../../../src/testing/storage-suite/samples.js';
import { command } from '../../support/redis-clients.ts';
import { startCluster } from '../../support/redis-cluster.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  while (ends.length > 0) await ends.pop()!();
});

/** Milliseconds. A cache would give up a read sooner. */
const GIVEN_UP_AFTER = 10_000;

const later = (): number => Date.now() + 3_600_000;

/** Clients that reconnect, and keep commands for later meanwhile. */
const CLIENTS: Readonly<Record<string, (port: number) => Promise<RedisClient>>> = {
  'node-redis 6': (port) => nodeRedis(createClient({ socket: { port, host: '127.0.0.1', reconnectStrategy: 20 } })),
  'node-redis 5': (port) =>
    nodeRedis(createClient5({ socket: { port, host: '127.0.0.1', reconnectStrategy: 20 } }) as never),
  'ioredis 5': (port) => ioredis(new Ioredis({ port, retryStrategy: () => 20, maxRetriesPerRequest: null })),
  'ioredis 6': (port) => ioredis(new Ioredis6({ port, retryStrategy: () => 20, maxRetriesPerRequest: null }) as never),
};

async function nodeRedis(client: ReturnType<typeof createClient>): Promise<RedisClient> {
  client.on('error', () => {});
  ends.push(() => client.destroy());
  await client.connect();
  return client;
}

async function ioredis(client: Ioredis): Promise<RedisClient> {
  client.on('error', () => {});
  ends.push(() => client.disconnect());
  await client.ping();
  return client;
}

/** A storage with a record of what it tells and answers. */
function watched(client: RedisClient) {
  const story: string[] = [];
  const storage = redisStorage({ client });
  ends.push(storage.onReady!(() => story.push('ready')));
  ends.push(storage.onLoss!(() => story.push('lost')));
  const read = async (tier: StorageTier = storage): Promise<void> => {
    const entry = await tier.get('k');
    story.push(`read ${String(entry?.value)}`);
  };
  return { storage, story, read };
}

/** Reads until an answer comes, in spite of lost connections, and of clients that forget a command with theirs. */
async function readAtLast(read: () => Promise<void>): Promise<void> {
  await until('a read is answered', () => {
    const answered = read().then(
      () => true,
      () => false,
    );
    return Promise.race([answered, new Promise<boolean>((resolve) => setTimeout(resolve, GIVEN_UP_AFTER, false))]);
  });
}

/** A server of which a snapshot was made before 'k' was removed. */
async function serverWithPast(client: (port: number) => Promise<RedisClient>) {
  const server = await startRedis();
  ends.push(() => server.stop());
  const hints = watched(await client(server.port));
  await hints.storage.set('k', sampleEntry(Date.now(), { value: 'old' }), later());
  await server.send('SAVE');
  await hints.storage.delete('k');
  await hints.read();
  return { server, ...hints };
}

describe.each(Object.entries(CLIENTS))('over %s', (_, connect) => {
  test('a server that came back with an older snapshot is told before a read believes it', async () => {
    const { server, story, read } = await serverWithPast(connect);

    const restored = server.restoreSnapshot();
    await readAtLast(read);
    await restored;

    // Reads may still have been answered by the old server.
    const heard = story.filter((each, at) => each !== story[at - 1]);
    expect(heard.slice(-3)).toEqual(['ready', 'lost', 'read old']);
  });

  test('a connection that was cut and is back is told, and is no loss', async () => {
    const { server, story, read } = await serverWithPast(connect);
    const admin = await connect(server.port);

    await command(admin, ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    await until('it is back', () => story.includes('ready'));
    await readAtLast(read);

    expect(story).not.toContain('lost');
    expect(story.at(-1)).toBe('read undefined');
  });

  test('a user who may not ask for the run is told of no loss', async () => {
    const { server, read, story } = await serverWithPast(async (port) => {
      const client = await connect(port);
      await command(client, ['ACL', 'SETUSER', 'default', '-info']);
      return client;
    });
    const admin = await connect(server.port);

    await command(admin, ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    await until('it is back', () => story.includes('ready'));
    await readAtLast(read);

    expect(story).not.toContain('lost');
  });
});

const CLUSTERS: Readonly<Record<string, (nodes: readonly RedisServer[]) => Promise<RedisClient>>> = {
  'createCluster of node-redis': async (nodes) => {
    const client = createCluster({
      rootNodes: nodes.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: 20 } },
    });
    client.on('error', () => {});
    ends.push(() => client.destroy());
    await client.connect();
    return client;
  },
  'Cluster of ioredis': async (nodes) => {
    const client = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
    client.on('error', () => {});
    ends.push(() => client.disconnect());
    await client.ping();
    return client;
  },
};

test.each(Object.entries(CLUSTERS))(
  'over %s, a primary that came back with an older snapshot is told before a read believes it',
  async (_, connect) => {
    const servers = await startCluster();
    ends.push(() => servers.stop());
    const { storage, story, read } = watched(await connect(servers.nodes));
    await storage.set('k', sampleEntry(Date.now(), { value: 'old' }), later());
    for (const node of servers.nodes) await node.send('SAVE');
    await storage.delete('k');
    await read();
    expect(story).not.toContain('lost');

    const share = Math.floor((slotOf(new KeyNames('').entry('k')) * servers.nodes.length) / 16_384);
    const restored = servers.nodes[share]!.restoreSnapshot();
    await readAtLast(read);
    await restored;
    await until('the old entry is read', async () => {
      await read().catch(() => {});
      return story.at(-1) === 'read old';
    });

    expect(story.indexOf('lost')).toBeGreaterThan(-1);
    expect(story.indexOf('lost')).toBeLessThan(story.indexOf('read old'));
  },
);
