import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import type { StorageTier } from '../../src/contracts.js';
import { redisStorage } from '../../src/redis/index.js';
import { storageSuite } from '../../src/testing/index.js';
import { CLIENTS, type ConnectedClient } from '../support/redis-clients.ts';
import { startRedis, type RedisServer } from '../support/redis-server.ts';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const supports = { references: false, binary: true, sweep: false } as const;

let server: RedisServer;
let prefixes = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

function nextPrefix(): string {
  prefixes += 1;
  return `p${prefixes}*?[a]:`;
}

describe.each(Object.entries(CLIENTS))('%s', (_, connect) => {
  let connected: ConnectedClient;
  beforeAll(async () => {
    connected = await connect(server.url);
  });
  afterAll(() => connected.end());

  for (const lease of [true, false]) {
    describe(`lease: ${lease}`, () => {
      const prefixOf = new WeakMap<StorageTier, string>();
      const openWith = (prefix: string) => {
        const tier = redisStorage({ client: connected.client, prefix, codec: structuredCloneCodec, lease });
        prefixOf.set(tier, prefix);
        return tier;
      };
      const reopen = async (tier: StorageTier) => {
        await tier.close?.();
        return openWith(prefixOf.get(tier)!);
      };
      storageSuite(runner, { open: () => openWith(nextPrefix()), supports: { ...supports, lease, reopen } });
    });
  }
});
