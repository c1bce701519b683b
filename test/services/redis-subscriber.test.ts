import { Redis as Ioredis } from 'ioredis';
import { createClient } from 'redis';
import { describe, expect, onTestFinished, test } from 'vitest';

import type { RedisClient } from '../../src/redis/client.js';
import { redisBackplane } from '../../src/redis/index.js';
import { command } from '../support/redis-clients.ts';
import { newName, sharedRedis } from '../support/redis-suites.ts';
import { until } from '../support/until.ts';

const redis = sharedRedis();

/** Clients that are not connected yet. `ready` resolves once they are. */
const CLIENTS: Readonly<
  Record<string, () => { readonly client: RedisClient; readonly ready: () => Promise<unknown> }>
> = {
  'node-redis': () => {
    const client = createClient({ url: redis.url, socket: { reconnectStrategy: 5 } });
    client.on('error', () => {});
    onTestFinished(() => client.destroy());
    return { client, ready: () => client.connect() };
  },
  ioredis: () => {
    const client = new Ioredis(redis.url, { lazyConnect: true, autoResubscribe: false, retryStrategy: () => 5 });
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    return { client, ready: () => client.connect() };
  },
};

describe.each(Object.entries(CLIENTS))('a subscriber of %s', (_, make) => {
  test('that subscribes before it is ready has lost nothing, and after a cut it has', async () => {
    const publisher = new Ioredis(redis.url);
    onTestFinished(() => publisher.disconnect());
    const { client, ready } = make();
    const channel = newName('subscriber');
    let lost = 0;
    let heard = 0;
    const listener = { receive: () => void (heard += 1), lost: () => void (lost += 1) };
    const connected = ready();
    // As soon as the socket is there, when the client has not called itself ready yet.
    const subscribed = new Promise<void>((resolve, reject) => {
      (client as unknown as Ioredis).once('connect', () => {
        const subscribing = redisBackplane({ publisher, subscriber: client, channel }).subscribe(listener);
        Promise.resolve(subscribing).then(() => resolve(), reject);
      });
    });
    await Promise.all([connected, subscribed]);
    const message = { origin: 'o', sequence: 1, kind: 'expire', space: [], keys: ['k'], at: 1 } as const;
    const publishing = redisBackplane({ publisher, subscriber: client, channel });
    await until('a message arrives', async () => {
      await publishing.publish([message]);
      return heard > 0;
    });
    expect(lost).toBe(0);

    await command(publisher, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await until('it listens again', () => lost > 0);
    expect(lost).toBe(1);
    heard = 0;
    await publishing.publish([message]);
    await until('a message arrives', () => heard > 0);
  });
});
