import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { TieredCache } from '../../../src/index.js';
import { redisStorage } from '../../../src/redis/index.js';
import { CLIENTS, command, FIRST, type ConnectedClient } from '../../support/redis-clients.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
let connected: ConnectedClient;
beforeEach(async () => {
  server = await startRedis();
  connected = await CLIENTS[FIRST](server.url);
});
afterEach(async () => {
  await connected.end();
  await server.stop();
});

const keys = Array.from({ length: 500 }, (_each, index) => `k-${index}`);
const send = (...words: string[]): Promise<unknown> => command(connected.client, words);

function process(load: (key: string) => string): TieredCache<string> {
  return new TieredCache<string>({
    ...{ ttl: '1h', memory: false, storage: redisStorage({ client: connected.client }), writeBack: 'await' },
    tags: (_, key) => [`tag ${key}`],
    upstream: load,
  });
}

async function evictSome(policy: string): Promise<void> {
  const used = Number(/^used_memory:(\d+)/m.exec(String(await send('INFO', 'memory')))![1]);
  await send('CONFIG', 'SET', 'maxmemory-policy', policy);
  await send('CONFIG', 'SET', 'maxmemory', String(used + 50_000));
  for (let filler = 0; filler < 100; filler += 1)
    await send('SET', `filler-${filler}`, 'x'.repeat(2_000), 'PX', '3600000');
}

describe.each(['allkeys-random', 'allkeys-lru', 'volatile-random'])('Redis that evicts by %s', (policy) => {
  test.each([
    ['by tag', (cache: TieredCache<string>) => cache.invalidateTags(keys.map((key) => `tag ${key}`))],
    ['by clear', (cache: TieredCache<string>) => cache.clear()],
  ])('brings nothing back that was invalidated %s', async (_, invalidate) => {
    const [a, b, c] = [process(() => 'old'), process(() => 'new'), process(() => 'newest')];
    for (let reads = 0; reads < 2; reads += 1) await a.getMany(keys);
    expect((await b.lookup('k-0')).value).toBe('old');
    await invalidate(a);

    await evictSome(policy);

    const found = await b.getMany(keys);
    expect(found.filter((value) => value !== 'new')).toEqual([]);
    // What is loaded anew is believed, also by others, once nothing is evicted any more.
    await send('CONFIG', 'SET', 'maxmemory', '0');
    for (let reads = 0; reads < 3; reads += 1) await b.getMany(keys);
    const sources = await Promise.all(keys.map(async (key) => (await c.lookup(key)).tier));
    expect(sources.filter((tier) => tier !== 'redis')).toEqual([]);
  });
});
