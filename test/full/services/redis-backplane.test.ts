import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { redisBackplane } from '../../src/redis/index.js';
import { backplaneSuite } from '../../src/testing/index.js';
import { CLIENTS, command, type ConnectedClient } from '../support/redis-clients.ts';
import { startRedis, type RedisServer } from '../support/redis-server.ts';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };

let server: RedisServer;
let channels = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

describe.each(Object.entries(CLIENTS))('%s', (_, connect) => {
  let publisher: ConnectedClient;
  let here: ConnectedClient;
  let there: ConnectedClient;
  beforeAll(async () => {
    [publisher, here, there] = await Promise.all([connect(server.url), connect(server.url), connect(server.url)]);
  });
  afterAll(() => Promise.all([publisher, here, there].map(({ end }) => end())));

  backplaneSuite(runner, {
    open: () => {
      channels += 1;
      const channel = `conformance ${channels}`;
      return [
        redisBackplane({ publisher: publisher.client, subscriber: here.client, channel }),
        redisBackplane({ publisher: publisher.client, subscriber: there.client, channel }),
      ];
    },
    interrupt: async () => {
      await command(publisher.client, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    },
  });
});
