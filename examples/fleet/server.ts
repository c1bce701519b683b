import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createClient } from 'redis';
import { TieredCache, toCacheStatus, type TieredCacheOptions } from 'soloflight';
import { redisBackplane, redisStorage } from 'soloflight/redis';

/* One of several equal processes: `GET /posts/:id`, and `POST /posts/:id` after a post has changed. */

const { REDIS_URL = 'redis://127.0.0.1:6379', DATABASE_URL = '', FLEET_PATIENCE } = process.env;

// Both reconnect by themselves. While Redis is away, soloflight works without it.
const client = createClient({ url: REDIS_URL, socket: { reconnectStrategy: 100 } }).on('error', () => {});
const subscriber = client.duplicate().on('error', () => {});
for (const connection of [client, subscriber]) connection.connect().catch(() => {});

const posts = new TieredCache<string>({
  ttl: '1m',
  staleWhileRevalidate: '10m',
  ...patience(FLEET_PATIENCE),
  storage: redisStorage({ client, subscriber, prefix: 'fleet:' }),
  backplane: redisBackplane({ publisher: client, subscriber, channel: 'fleet' }),
  upstream: async (id, { signal }) => {
    const response = await fetch(`${DATABASE_URL}/${id}`, { signal });
    if (!response.ok) throw new Error(`The database answered ${response.status}`);
    return response.text();
  },
});

// Your logs, or your metrics. Here it is expected: Redis is killed.
posts.on('tier-error', () => {});

/** Deadlines for a machine that is too busy for soloflight's defaults. */
function patience(ms: string | undefined): Partial<TieredCacheOptions<string>> {
  return ms === undefined ? {} : { readTimeout: Number(ms), writeTimeout: Number(ms), leaseWait: Number(ms) };
}

const server = createServer((request, response) => {
  const id = request.url?.slice('/posts/'.length) ?? '';
  const answering = request.method === 'POST' ? posts.invalidate(id).then(() => 'forgotten') : posts.lookup(id);
  answering.then(
    (answer) => {
      if (typeof answer !== 'string') response.setHeader('Cache-Status', toCacheStatus(answer));
      response.end(typeof answer === 'string' ? answer : answer.value);
    },
    (error: unknown) => response.writeHead(503).end(`${String(error)}: ${String((error as Error).cause)}`),
  );
});
server.keepAliveTimeout = 0; // only who sends the next request ends a connection: none is sent into a closing one
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
