import { Redis as Ioredis } from 'ioredis';
import { Redis as Ioredis6 } from 'ioredis-6';
import { describe, expect, test } from 'vitest';

import type { BackplaneMessage } from '../../../src/contracts.js';
import { redisBackplane } from '../../../src/redis/index.js';
import { watchRejections } from '../../../src/testing/index.js';
import { OTHERS } from '../../support/redis-clients.ts';
import { newName, redisBackplaneSuite, sharedRedis } from '../../support/redis-suites.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';

const redis = sharedRedis();

// The first client passes in test/services/redis-backplane.test.ts.
describe.each(OTHERS)('%s', (client) => {
  redisBackplaneSuite(redis, client);
});

describe.each([
  ['ioredis 5', (port: number) => new Ioredis({ port, autoResubscribe: false, retryStrategy: () => 5 })],
  ['ioredis 6', (port: number) => new Ioredis6({ port, autoResubscribe: false, retryStrategy: () => 5, protocol: 3 })],
] as const)('a subscriber of %s that does not resubscribe by itself', (_, connect) => {
  async function setup() {
    const network = await tcpProxy(Number(new URL(redis.url).port));
    const publisher = new Ioredis(redis.url);
    const subscriber = connect(network.port) as Ioredis;
    subscriber.on('error', () => {});
    const options = { publisher, subscriber, channel: newName('resubscribing') };
    const end = async (): Promise<void> => {
      subscriber.disconnect();
      await publisher.quit();
      await network.close();
    };
    return { network, subscriber, backplane: redisBackplane(options), end };
  }

  test('hears again after an interruption', async () => {
    const { network, backplane, end } = await setup();
    const lost = Promise.withResolvers<void>();
    const received = Promise.withResolvers<BackplaneMessage>();
    await backplane.subscribe({ receive: received.resolve, lost: lost.resolve });

    network.cut();
    await lost.promise;
    const message = { origin: 'o', sequence: 1, kind: 'expire', space: [], keys: ['k'], at: 1 } as const;
    await backplane.publish([message]);

    expect(await received.promise).toEqual(message);
    await end();
  });

  test('may end while it listens again, and leaves no rejection unhandled', async () => {
    const { network, subscriber, backplane, end } = await setup();
    const rejections = watchRejections();
    await backplane.subscribe({ receive: () => {}, lost: () => {} });

    network.cut();
    await happened(subscriber, 'ready');
    // Its SUBSCRIBE is under way, and gets no reply.
    network.swallow = true;
    subscriber.disconnect();
    network.cut();
    await happened(subscriber, 'end');

    expect(await rejections.take()).toEqual([]);
    rejections.stop();
    await end();
  });
});

/** Not `once` of Node, which rejects at an `error` event, and one comes here at each interruption. */
function happened(client: Ioredis, event: string): Promise<void> {
  return new Promise((resolve) => void client.once(event, () => resolve()));
}
