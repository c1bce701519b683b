import { afterAll, beforeAll, expect, test } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import type { Codec, StorageTier, WriteQueue } from '../../src/contracts.js';
import { redisBackplane, redisQueue, redisStorage } from '../../src/redis/index.js';
import { backplaneSuite, storageSuite, writeQueueSuite, type StorageSuiteRunner } from '../../src/testing/index.js';
import { CLIENTS, command, type ClientName, type ConnectedClient } from './redis-clients.ts';
import { startRedis, type RedisServer } from './redis-server.ts';

/** The runner of all suites here. */
export const runner: StorageSuiteRunner = { test, equal: (actual, expected) => expect(actual).toEqual(expected) };

/**
 * The same runner without the storage suite's second run, in a namespace. That run tests prefixes of keys, which no client
 * looks into, so one client proves it for all.
 */
export const withoutNamespaces: StorageSuiteRunner = {
  ...runner,
  test: (name, run) => (name.startsWith('in a namespace: ') ? undefined : runner.test(name, run)),
};

let numbers = 0;

/** A name that nothing else in this file uses. */
export function newName(kind: string): string {
  numbers += 1;
  return `${kind}-${numbers}`;
}

/** A Redis for the tests of one file. */
export function sharedRedis(): { readonly url: string } {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  return {
    get url() {
      return server.url;
    },
  };
}

/** Connections of one client for the tests of one `describe`. They end with those tests. */
export function connections(redis: { readonly url: string }, name: ClientName, count = 1): readonly ConnectedClient[] {
  const connected: ConnectedClient[] = [];
  beforeAll(async () => {
    connected.push(...(await Promise.all(Array.from({ length: count }, () => CLIENTS[name](redis.url)))));
  });
  afterAll(() => Promise.all(connected.map(({ end }) => end())));
  return connected;
}

/** Registers the storage suite over one client, with leases or without. */
export function redisStorageSuite(
  redis: { readonly url: string },
  client: ClientName,
  { lease = true, suite = runner } = {},
): void {
  const connected = connections(redis, client);
  const prefixOf = new WeakMap<StorageTier, string>();
  const openWith = (prefix: string): StorageTier => {
    const tier = redisStorage({ client: connected[0]!.client, prefix, codec: structuredCloneCodec, lease });
    prefixOf.set(tier, prefix);
    return tier;
  };
  const reopen = async (tier: StorageTier): Promise<StorageTier> => {
    await tier.close?.();
    return openWith(prefixOf.get(tier)!);
  };
  storageSuite(suite, {
    open: () => openWith(`${newName('p')}*?[a]:`),
    supports: { references: false, binary: true, sweep: false, lease, version: true, keys: true, reopen },
  });
}

/** Registers the queue's suite over one client, with one codec. */
export function redisQueueSuite(redis: { readonly url: string }, client: ClientName, codec?: Codec): void {
  const connected = connections(redis, client);
  const nameOf = new WeakMap<WriteQueue, string>();
  const openWith = (name: string): WriteQueue => {
    const options = { client: connected[0]!.client, queue: name, prefix: 'p*?[a]:' };
    const queue = redisQueue(codec === undefined ? options : { ...options, codec });
    nameOf.set(queue, name);
    return queue;
  };
  const reopen = async (queue: WriteQueue): Promise<WriteQueue> => {
    await queue.close?.();
    return openWith(nameOf.get(queue)!);
  };
  writeQueueSuite(runner, {
    open: () => openWith(newName('suite')),
    supports: { references: false, unstorable: () => {}, own: true, reopen },
  });
}

/** Registers the backplane's suite over one client. */
export function redisBackplaneSuite(redis: { readonly url: string }, client: ClientName): void {
  const connected = connections(redis, client, 3);
  backplaneSuite(runner, {
    open: () => {
      const channel = newName('conformance');
      const [publisher, here, there] = connected.map(({ client }) => client);
      return [
        redisBackplane({ publisher: publisher!, subscriber: here!, channel }),
        redisBackplane({ publisher: publisher!, subscriber: there!, channel }),
      ];
    },
    interrupt: async () => {
      await command(connected[0]!.client, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    },
  });
}
