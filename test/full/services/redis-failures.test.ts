import { setTimeout as sleep } from 'node:timers/promises';

import { Redis as Ioredis } from 'ioredis';
import { createClient } from 'redis';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { TieredCache, type TieredCacheOptions } from '../../src/index.js';
import type { RedisClient } from '../../src/redis/client.js';
import { redisBackplane, redisStorage } from '../../src/redis/index.js';
import { command } from '../support/redis-clients.ts';
import { freePort, startRedis, type RedisServer } from '../support/redis-server.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

/** Clients as people set them up: they reconnect, and keep commands for later meanwhile. */
const CLIENTS: Readonly<Record<string, (port: number) => RedisClient>> = {
  'node-redis': (port) => {
    const client = createClient({ socket: { port, host: '127.0.0.1', reconnectStrategy: 20 } });
    client.on('error', () => {});
    client.connect().catch(() => {});
    onTestFinished(() => client.destroy());
    return client;
  },
  ioredis: (port) => {
    const client = new Ioredis({ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    return client;
  },
};

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

let server: RedisServer;
/** Calls of the upstream, in all processes of a test. */
let loads = 0;
beforeEach(async () => {
  loads = 0;
  server = await startRedis(['--enable-debug-command', 'yes']);
});
afterEach(async () => {
  await server.stop();
  if (unhandled.length > 0) throw new AggregateError(unhandled.splice(0), 'Rejections that nobody handled');
});

describe.each(Object.entries(CLIENTS))('over %s', (_, connect) => {
  /** A process: a cache with a client of its own. Its upstream counts its calls. */
  function start(port = server.port, options: Partial<TieredCacheOptions<string>> = {}) {
    const client = connect(port);
    const calls: string[] = [];
    const errors: unknown[] = [];
    const cache = new TieredCache<string>({
      ttl: '1h',
      readTimeout: 150,
      writeTimeout: 300,
      storage: redisStorage({ client, subscriber: connect(port) }),
      upstream: (key) => {
        calls.push(key);
        loads += 1;
        return `${key} ${loads}`;
      },
      ...options,
    });
    cache.on('tier-error', ({ error }) => errors.push(error));
    onTestFinished(() => cache.close());
    return { cache, client, calls, errors };
  }

  /** How long `run` takes, milliseconds. */
  async function duration(run: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await run();
    return performance.now() - start;
  }

  test('a server that is not there yet costs a deadline, no read, and is used once it is', async () => {
    const port = await freePort();
    const { cache } = start(port, { memory: false });
    expect(await duration(() => cache.get('k'))).toBeLessThan(900);
    const late = await startRedis([], port);
    onTestFinished(() => late.stop());

    const other = start(port, { memory: false });
    await until(async () => {
      await cache.get('shared');
      await cache.idle();
      return (await other.cache.lookup('shared')).status === 'hit' && other.calls.length === 0;
    }, 15_000);
  });

  test('killed and started again in the middle of load, it fails no read', { timeout: 60_000 }, async () => {
    const { cache } = start(server.port, { memory: false });
    const failures: unknown[] = [];
    const over = new AbortController();
    const readers = Array.from({ length: 20 }, async (_each, reader) => {
      for (let round = 0; !over.signal.aborted; round += 1) {
        await cache.get(`k-${(reader + round) % 50}`).catch((error: unknown) => failures.push(error));
        await sleep(1);
      }
    });
    for (let kills = 0; kills < 3; kills += 1) {
      await sleep(150);
      await server.kill();
      await sleep(150);
      await server.restart();
    }
    await sleep(200);
    over.abort();
    await Promise.all(readers);
    expect(failures).toEqual([]);
  });

  test.each(['SIGSTOP', 'CLIENT PAUSE'])('held still by %s, it costs deadlines and no hang', async (how) => {
    const { cache, client } = start(server.port, { memory: false });
    await cache.get('k');
    await cache.idle();
    if (how === 'SIGSTOP') server.pause();
    else await command(client, ['CLIENT', 'PAUSE', '3000']);

    const took = await duration(() =>
      Promise.all(Array.from({ length: 50 }, (_each, index) => cache.get(`k-${index}`))),
    );
    const invalidated = await duration(() => cache.invalidate('k'));
    server.resume();

    expect(took).toBeLessThan(1_500);
    expect(invalidated).toBeLessThan(1_000);
    // It was invalidated, though the server heard of it only later.
    expect(await cache.get('k')).not.toBe('k 1');
  });

  test('emptied by FLUSHALL, it is filled again with one load per key in all processes', async () => {
    const processes = Array.from({ length: 5 }, () => start(server.port, { memory: false }));
    const keys = Array.from({ length: 20 }, (_each, index) => `k-${index}`);
    const readAll = () => Promise.all(processes.flatMap(({ cache }) => keys.map((key) => cache.get(key))));
    const calls = () => processes.reduce((sum, each) => sum + each.calls.length, 0);
    await readAll();
    expect(calls()).toBe(20);
    await Promise.all(processes.map(({ cache }) => cache.idle()));

    await command(processes[0]!.client, ['FLUSHALL']);
    await command(processes[0]!.client, ['SCRIPT', 'FLUSH']);
    await readAll();

    expect(calls()).toBe(40);
  });

  test('out of memory, it refuses writes, and reads go on', async () => {
    const { cache, client, errors } = start(server.port, { memory: false });
    await cache.get('before');
    await cache.idle();
    await command(client, ['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
    await command(client, ['CONFIG', 'SET', 'maxmemory', '1']);

    expect(await cache.get('after')).toBe('after 2');
    expect(await cache.get('before')).toBe('before 1');
    await cache.idle();

    expect(errors.map(String).join()).toContain('OOM');
    await command(client, ['CONFIG', 'SET', 'maxmemory', '0']);
  });

  test('a read-only replica answers reads; what it can not forget is not believed', async () => {
    const { cache, client, errors } = start(server.port, { memory: false });
    await cache.get('k');
    await cache.idle();
    await command(client, ['REPLICAOF', '127.0.0.1', String(await freePort())]);
    await command(client, ['CONFIG', 'SET', 'replica-serve-stale-data', 'yes']);

    expect(await cache.get('k')).toBe('k 1');
    await cache.invalidate('k');
    expect(await cache.get('k')).toBe('k 2');
    expect(errors.map(String).join()).toContain('READONLY');

    await command(client, ['REPLICAOF', 'NO', 'ONE']);
  });

  test('loading its data, it answers nothing, and reads go on', async () => {
    const { cache, client, errors } = start(server.port, { memory: false });
    const other = connect(server.port);
    for (let number = 0; number < 300; number += 1) await command(client, ['SET', `filler-${number}`, 'x']);
    await command(client, ['CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024']).catch(() => {});
    await command(client, ['CONFIG', 'SET', 'key-load-delay', '3000']);
    const reloading = command(other, ['DEBUG', 'RELOAD']);
    await sleep(100);

    const values = await Promise.all(Array.from({ length: 10 }, (_each, index) => cache.get(`k-${index}`)));
    expect(values).toHaveLength(10);
    await reloading;
    expect(errors.map(String).join()).toMatch(/LOADING|took longer/);
  });

  test('what lies under our keys and is not ours is a miss, and is replaced', async () => {
    const { cache, client } = start(server.port, { memory: false });
    await command(client, ['RPUSH', 'soloflight:{.list}', 'a', 'b']);
    await command(client, ['SET', 'soloflight:{.garbage}', '\0\n{"not": "ours"}']);
    await command(client, ['SET', 'soloflight:{.nan}', 'nan\nsoloflight/1 [']);
    await command(client, ['HSET', 'soloflight:{.leased}lease', 'f', 'v']);

    const keys = ['list', 'garbage', 'nan', 'leased'];
    const loaded = await Promise.all(keys.map((key) => cache.get(key)));
    await cache.idle();

    const again = start(server.port, { memory: false });
    expect(await Promise.all(keys.slice(0, 3).map((key) => again.cache.get(key)))).toEqual(loaded.slice(0, 3));
    expect(again.calls).toEqual([]);
  });

  test('a slow network costs time, a dead one deadlines, a cut one nothing', { timeout: 60_000 }, async () => {
    const network = await tcpProxy(server.port);
    onTestFinished(() => network.close());
    const { cache } = start(network.port, { memory: false });
    await cache.get('k');
    await cache.idle();

    network.delay = 40;
    expect(await cache.get('k')).toBe('k 1');
    network.delay = 0;
    network.swallow = true;
    expect(await duration(() => cache.get('k'))).toBeLessThan(1_000);
    expect(await duration(() => cache.invalidate('k'))).toBeLessThan(1_000);
    network.swallow = false;
    network.cut();
    expect(await cache.get('k')).not.toBe('k 1');

    const other = start(server.port, { memory: false });
    await until(async () => (await other.cache.get('k')) !== 'k 1', 10_000);
  });

  test('a backplane whose connection was cut makes memory stale, and works again', async () => {
    const network = await tcpProxy(server.port);
    onTestFinished(() => network.close());
    const plug = (port: number) => redisBackplane({ publisher: connect(server.port), subscriber: connect(port) });
    const here = start(server.port, { backplane: plug(server.port), staleWhileRevalidate: '1h' });
    const there = start(server.port, { backplane: plug(network.port), staleWhileRevalidate: '1h' });
    const writer = start(server.port, { memory: false });
    await here.cache.get('k');
    await here.cache.idle();
    expect(await there.cache.get('k')).toBe('k 1');

    // Lost for good: nobody tells.
    await writer.cache.invalidate('k');
    network.cut();
    await until(async () => (await there.cache.get('k')) !== 'k 1', 10_000);
    await here.cache.invalidate('k');
    await until(async () => there.cache.peek('k') === undefined, 10_000);
  });
});

async function until(isSo: () => Promise<boolean>, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('It did not come true in time');
    await sleep(20);
  }
}
