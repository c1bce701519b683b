import { Redis as Ioredis } from 'ioredis';
import { Redis as Ioredis6 } from 'ioredis-6';
import { createClient } from 'redis';
import { createClient as createClient5 } from 'redis-client-5';

import type { IoredisLike, NodeRedisLike } from '../../src/redis/client.js';

/** A connected client, and how it ends. */
export interface ConnectedClient {
  readonly client: IoredisLike | NodeRedisLike;
  readonly end: () => Promise<void>;
}

/** Connects to the Redis at `url`. */
export type Connect = (url: string) => Promise<ConnectedClient>;

/** Every client and protocol that is supported, by name. */
export const CLIENTS: Readonly<Record<string, Connect>> = {
  'node-redis 6, RESP3': (url) => nodeRedis(createClient({ url, RESP: 3 }) as never),
  'node-redis 6, RESP2': (url) => nodeRedis(createClient({ url, RESP: 2 }) as never),
  'node-redis 5, RESP2': (url) => nodeRedis(createClient5({ url }) as never),
  'ioredis 5, RESP2': (url) => ioredis(new Ioredis(url)),
  'ioredis 6, RESP3': (url) => ioredis(new Ioredis6(url, { protocol: 3 }) as never),
};

async function nodeRedis(client: ReturnType<typeof createClient>): Promise<ConnectedClient> {
  client.on('error', () => {});
  await client.connect();
  return { client, end: () => Promise.resolve(client.destroy()) };
}

async function ioredis(client: Ioredis): Promise<ConnectedClient> {
  client.on('error', () => {});
  await client.ping();
  return { client, end: () => Promise.resolve(client.disconnect()) };
}

/** Sends `words` over `client`, whichever it is. */
export async function command(client: IoredisLike | NodeRedisLike, words: readonly string[]): Promise<unknown> {
  if ('callBuffer' in client) return client.callBuffer(...(words as never[]));
  return client.sendCommand(words as never);
}
