import { Redis } from 'ioredis';

import { startRedis, type RedisServer } from './redis-server.ts';
import { until } from './until.ts';

const SLOTS = 16_384;

/** A cluster of primaries on loopback, each with an equal share of the slots. */
export interface RedisClusterServers {
  readonly nodes: readonly RedisServer[];
  readonly stop: () => Promise<void>;
}

/** Starts a cluster and resolves once all its nodes report it complete. */
export async function startCluster(size = 3): Promise<RedisClusterServers> {
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-announce-ip', '127.0.0.1'];
  const nodes = await Promise.all(Array.from({ length: size }, () => startRedis(settings)));
  const clients = nodes.map(({ url }) => new Redis(url));
  try {
    for (const [index, client] of clients.entries()) {
      const [from, to] = [index, index + 1].map((share) => Math.floor((share * SLOTS) / size)) as [number, number];
      await client.cluster('ADDSLOTSRANGE', from, to - 1);
      await client.cluster('MEET', '127.0.0.1', nodes[0]!.port);
    }
    for (const client of clients) await until('the cluster is complete', () => isComplete(client, size));
  } finally {
    for (const client of clients) client.disconnect();
  }
  return { nodes, stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))) };
}

async function isComplete(client: Redis, size: number): Promise<boolean> {
  const info = await client.cluster('INFO');
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`);
}
