import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { StorageTier } from '../../../src/contracts.js';
import { redisStorage } from '../../../src/redis/index.js';
import { sampleEntry } from '../../../src/testing/storage-suite/samples.js';
import { CLIENTS, command, FIRST, type ConnectedClient } from '../../support/redis-clients.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
beforeEach(async () => {
  server = await startRedis();
});
afterEach(() => server.stop());

const keepUntil = Date.now() + 3_600_000;
const keysUpTo = (count: number): string[] => Array.from({ length: count }, (_each, index) => `k-${index}`);

describe.each(['allkeys-random', 'allkeys-lru', 'volatile-random'])('Redis that evicts by %s', (policy) => {
  let connected: ConnectedClient;
  beforeEach(async () => {
    connected = await CLIENTS[FIRST](server.url);
  });
  afterEach(() => connected.end());

  const send = (...words: string[]): Promise<unknown> => command(connected.client, words);
  const land = (storage: StorageTier, key: string, version: string): unknown =>
    storage.setIfVersion!(key, sampleEntry(Date.now(), { value: 'loaded' }), keepUntil, version, false);

  test('never stores what a load brings that began before the key was removed', async () => {
    const storage = redisStorage({ client: connected.client });
    const keys = keysUpTo(1_000);
    const removed = keys.slice(0, 600);
    const versions = new Map<string, string>();
    for (const key of keys) {
      await storage.set(key, sampleEntry(Date.now(), { value: 'old' }), keepUntil);
      versions.set(key, (await storage.version!(key, Infinity)).version);
    }
    await storage.deleteMany!(removed.slice(100));
    for (const key of removed.slice(0, 100)) await storage.delete(key);

    const used = Number(/^used_memory:(\d+)/m.exec(String(await send('INFO', 'memory')))![1]);
    await send('CONFIG', 'SET', 'maxmemory-policy', policy);
    await send('CONFIG', 'SET', 'maxmemory', String(used + 50_000));
    for (let filler = 0; filler < 100; filler += 1)
      await send('SET', `filler-${filler}`, 'x'.repeat(2_000), 'PX', '3600000');

    const stored = await Promise.all(keys.map((key) => land(storage, key, versions.get(key)!)));
    expect(stored.slice(0, 600).filter(Boolean)).toEqual([]);
    // Some loads of keys that nobody removed are lost with their claims. That costs no more than another load.
    const others = stored.slice(600).filter(Boolean).length;
    expect(others).toBeLessThan(400);
  });
});

// One client of each library: ioredis passes the words of a command as arguments of a function, of which there is a limit.
test.each([FIRST, 'ioredis 5, RESP2'] as const)('100,000 keys are written, read and removed over %s', async (name) => {
  const keys = keysUpTo(100_000);
  const sample = sampleEntry(Date.now());
  const { client, end } = await CLIENTS[name](server.url);
  const storage = redisStorage({ client });
  await storage.setMany!(keys.map((key) => ({ key, entry: sample, keepUntil })));
  const found = await storage.getMany!(keys);
  expect(found.filter((entry) => entry?.value !== undefined)).toHaveLength(100_000);

  await storage.deleteMany!(keys);

  expect(await command(client, ['DBSIZE'])).toBe(0);
  await end();
});
