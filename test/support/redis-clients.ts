import { Redis as Ioredis } from 'ioredis';
import { Redis as Ioredis6 } from 'ioredis-6';
import { createClient } from 'redis';
import { createClient as createClient5 } from 'redis-client-5';

import type { IoredisLike, NodeRedisLike } from '../../src/redis/client.js';

/** A connected client, and the function that ends it. */
export interface ConnectedClient {
  readonly client: IoredisLike | NodeRedisLike;
  readonly end: () => Promise<void>;
}

/** Connects to the Redis at `url`. */
export type Connect = (url: string) => Promise<ConnectedClient>;

/** All supported clients and protocols, by name. */
export const CLIENTS = {
  'node-redis 6, RESP3': (url) => nodeRedis(createClient({ url, RESP: 3 }) as never),
  'node-redis 6, RESP2': (url) => nodeRedis(createClient({ url, RESP: 2 }) as never),
  'node-redis 5, RESP2': (url) => nodeRedis(createClient5({ url }) as never),
  // With `autoResubscribe`, a connection that ends while it comes back leaves a rejection that nobody handles.
  'ioredis 5, RESP2': (url) => ioredis(new Ioredis(url, { autoResubscribe: false })),
  'ioredis 6, RESP3': (url) => ioredis(new Ioredis6(url, { protocol: 3, autoResubscribe: false }) as never),
} satisfies Readonly<Record<string, Connect>>;

/** The name of a client with its protocol. */
export type ClientName = keyof typeof CLIENTS;

/** The client of the quick tests. */
export const FIRST = 'node-redis 6, RESP3' satisfies ClientName;

/** All other clients. */
export const OTHERS = (Object.keys(CLIENTS) as ClientName[]).filter((name) => name !== FIRST);

async function nodeRedis(client: ReturnType<typeof createClient>): Promise<ConnectedClient> {
  client.on('error', () => {});
  await client.connect();
  return { client, end: () => Promise.resolve(client.destroy()) };
}

async function ioredis(client: Ioredis): Promise<ConnectedClient> {
  client.on('error', () => {});
  await client.ping();
  // Commands sent before `QUIT` are answered before it.
  return { client, end: async () => void (await client.quit()) };
}

/** Sends `words` over `client`, whichever library it is of. */
export async function command(client: IoredisLike | NodeRedisLike, words: readonly string[]): Promise<unknown> {
  if ('callBuffer' in client) return client.callBuffer(...(words as never[]));
  return client.sendCommand(words as never);
}
