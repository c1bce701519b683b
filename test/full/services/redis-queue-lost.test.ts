import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { redisQueue } from '../../../src/redis/index.js';
import { WriteBehind } from '../../../src/writes/index.js';
import { CLIENTS, FIRST, type ConnectedClient } from '../../support/redis-clients.ts';
import { sharedRedis } from '../../support/redis-suites.ts';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const redis = sharedRedis();

describe('a put whose reply was lost on its way', () => {
  let proxy: TcpProxy;
  let through: ConnectedClient;
  let direct: ConnectedClient;
  beforeAll(async () => {
    proxy = await tcpProxy(Number(new URL(redis.url).port));
    through = await CLIENTS[FIRST](`redis://127.0.0.1:${proxy.port}`);
    direct = await CLIENTS[FIRST](redis.url);
  });
  afterAll(async () => {
    await through.end();
    await direct.end();
    await proxy.close();
  });

  test('is not delivered after a restart, behind a later write of its key', async () => {
    const delivered: unknown[] = [];
    const open = ({ client }: ConnectedClient): WriteBehind<number> =>
      new WriteBehind<number>({
        ...{ queue: redisQueue({ client, queue: 'lost' }), flushEvery: Infinity, retry: { initial: 10, max: 50 } },
        sink: (batch) => void delivered.push(...batch.map(({ value }) => value)),
      });
    const stored = redisQueue({ client: direct.client, queue: 'lost' });
    const first = open(through);
    // Redis knows the scripts from here on: no call takes two commands.
    await first.put('before', 0);
    await first.flush();
    proxy.deaf = true;

    const refused = first.put('k', 1);
    refused.catch(() => {});
    await until('Redis has the write', async () => (await stored.load()).length === 1);
    proxy.cut();
    proxy.deaf = false;
    await expect(refused).rejects.toMatchObject({ code: 'SOLOFLIGHT_WRITE_QUEUE' });
    // Accepted only once the first is forgotten.
    await until('the next write is accepted', () =>
      first.put('k', 2).then(
        () => true,
        () => false,
      ),
    );
    expect(await stored.load()).toMatchObject([{ value: 2 }]);
    await first.close();
    const second = open(direct);
    await second.close();

    expect(delivered).toEqual([0, 2]);
  });
});
