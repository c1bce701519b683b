import { Redis as Ioredis } from 'ioredis';
import { createClient } from 'redis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { TieredCache, type TieredCacheOptions } from '../../../src/index.js';
import type { RedisClient } from '../../../src/redis/client.js';
import { redisBackplane, redisStorage } from '../../../src/redis/index.js';
import { manualClock, type ManualClock } from '../../../src/testing/index.js';
import { freePort } from '../../support/ports.ts';
import { command } from '../../support/redis-clients.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

/** What ends after a test, the last first. */
const ends: (() => unknown)[] = [];

/** Clients as people set them up: they reconnect, and keep commands for later meanwhile. */
const CLIENTS: Readonly<Record<string, (port: number) => RedisClient>> = {
  'node-redis': (port) => {
    const client = createClient({ socket: { port, host: '127.0.0.1', reconnectStrategy: 20 } });
    client.on('error', () => {});
    client.connect().catch(() => {});
    ends.push(() => client.destroy());
    return client;
  },
  ioredis: (port) => {
    const client = new Ioredis({
      ...{ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null },
      // ioredis leaves the failure of its own resubscribing unhandled.
      autoResubscribe: false,
    });
    client.on('error', () => {});
    ends.push(() => client.disconnect());
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
  ends.push(() => server.stop());
});
afterEach(async () => {
  while (ends.length > 0) await ends.pop()!();
  await turn();
  if (unhandled.length > 0) throw new AggregateError(unhandled.splice(0), 'Rejections that nobody handled');
});

/** Deadlines that no busy machine misses by accident: where Redis answers at all, its answer counts. */
const PATIENT = { readTimeout: '1m', writeTimeout: '1m', leaseWait: '1m' } as const;
/** Deadlines of tests in which Redis does not answer. */
const SHORT = { readTimeout: 150, writeTimeout: 300 } as const;

describe.each(Object.entries(CLIENTS))('over %s', (_, connect) => {
  /** A process: a cache with clients of its own. Its upstream counts its calls. */
  function start(port = server.port, options: Partial<TieredCacheOptions<string>> = {}) {
    const client = connect(port);
    const calls: string[] = [];
    const errors: unknown[] = [];
    const cache = new TieredCache<string>({
      ttl: '1h',
      ...PATIENT,
      storage: redisStorage({ client, subscriber: connect(port) }),
      upstream: (key) => {
        calls.push(key);
        loads += 1;
        return `${key} ${loads}`;
      },
      ...options,
    });
    cache.on('tier-error', ({ error }) => errors.push(error));
    ends.push(() => cache.close());
    return { cache, client, calls, errors };
  }

  /** The same with short deadlines, by a clock that only moves when it is told to. */
  function startByClock(port = server.port) {
    const clock = manualClock({ now: Date.now() });
    const started = start(port, { memory: false, clock, ...SHORT });
    // Nothing answers any more when it ends, so its deadlines have to pass.
    ends.push(() => passing(clock, started.cache.close()));
    return { ...started, clock };
  }

  test('a server that is not there yet costs a deadline, no read, and is used once it is', async () => {
    const port = await freePort();
    const { cache, clock } = startByClock(port);
    expect(await passing(clock, cache.get('k'))).toBeLessThan(900);
    await passing(clock, cache.idle());
    const late = await startRedis([], port);
    ends.push(() => late.stop());

    const other = start(port, { memory: false, clock });
    let round = 0;
    await until('one process reads what the other one has stored', async () => {
      // Longer than any pause after failures.
      clock.advance(60_000);
      // Another key each time: one that the other process had to load itself would never tell again.
      round += 1;
      const key = `shared ${round}`;
      await cache.get(key);
      await cache.idle();
      return (await other.cache.lookup(key)).status === 'hit' && !other.calls.includes(key);
    });
  });

  test('killed and started again in the middle of load, it fails no read', async () => {
    const { cache } = start(server.port, { memory: false, ...SHORT });
    const failures: unknown[] = [];
    let answered = 0;
    const over = new AbortController();
    ends.push(() => over.abort());
    const readers = Array.from({ length: 20 }, async (_each, reader) => {
      for (let round = 0; !over.signal.aborted; round += 1) {
        await cache.get(`k-${(reader + round) % 50}`).catch((error: unknown) => failures.push(error));
        answered += 1;
        await turn();
      }
    });
    const moreReads = (count: number): Promise<void> => {
      const enough = answered + count;
      return until(`${count} more reads are answered`, () => answered >= enough);
    };
    for (let kills = 0; kills < 3; kills += 1) {
      await moreReads(200);
      await server.kill();
      await moreReads(200);
      await server.restart();
    }
    await moreReads(200);
    over.abort();
    await Promise.all(readers);
    expect(failures).toEqual([]);
  });

  test.each(['SIGSTOP', 'CLIENT PAUSE'])('held still by %s, it costs deadlines and no hang', async (how) => {
    const { cache, client, clock } = startByClock();
    await cache.get('k');
    await cache.idle();
    if (how === 'SIGSTOP') server.pause();
    else await command(client, ['CLIENT', 'PAUSE', '3000']);

    const reads = Promise.all(Array.from({ length: 50 }, (_each, index) => cache.get(`k-${index}`)));
    expect(await passing(clock, reads)).toBeLessThan(1_500);
    expect(await passing(clock, cache.invalidate('k'))).toBeLessThan(1_000);
    server.resume();

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
    const [other, watcher] = [connect(server.port), connect(server.port)];
    // It looks at its connections once per kilobyte, and so after each of these.
    for (let number = 0; number < 300; number += 1)
      await command(client, ['SET', `filler-${number}`, 'x'.repeat(2_000)]);
    await command(client, ['CONFIG', 'SET', 'rdbcompression', 'no']);
    await command(client, ['CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024']);
    await command(watcher, ['CONFIG', 'SET', 'key-load-delay', '60000']);
    const reloading = command(other, ['DEBUG', 'RELOAD']);
    await until('it says that it is loading', async () =>
      command(watcher, ['GET', 'k']).then(
        () => false,
        (error: unknown) => String(error).includes('LOADING'),
      ),
    );

    const values = await Promise.all(Array.from({ length: 10 }, (_each, index) => cache.get(`k-${index}`)));

    expect(values).toHaveLength(10);
    expect(errors.map(String).join()).toContain('LOADING');
    await command(watcher, ['CONFIG', 'SET', 'key-load-delay', '0']);
    await reloading;
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

  test('a slow network costs time, a dead one deadlines, a cut one nothing', async () => {
    const network = await tcpProxy(server.port);
    ends.push(() => network.close());
    const { cache, clock } = startByClock(network.port);
    await cache.get('k');
    await cache.idle();

    network.delay = 40;
    expect(await cache.get('k')).toBe('k 1');
    network.delay = 0;
    network.swallow = true;
    expect(await passing(clock, cache.get('k'))).toBeLessThan(1_000);
    expect(await passing(clock, cache.invalidate('k'))).toBeLessThan(1_000);
    network.swallow = false;
    network.cut();
    expect(await cache.get('k')).not.toBe('k 1');

    const other = start(server.port, { memory: false });
    await until('others do not read it any more', async () => {
      clock.advance(1_000);
      await cache.get('something else');
      return (await other.cache.get('k')) !== 'k 1';
    });
  });

  test('a backplane whose connection was cut makes memory stale, and works again', async () => {
    const network = await tcpProxy(server.port);
    ends.push(() => network.close());
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
    await until('memory is doubted', async () => (await there.cache.get('k')) !== 'k 1');
    await here.cache.invalidate('k');
    await until('the next message arrives', () => there.cache.peek('k') === undefined);
  });
});

/** Lets `clock` pass until `work` has settled. Gives how far it moved: what it waited for by that clock, milliseconds. */
async function passing(clock: ManualClock, work: Promise<unknown>): Promise<number> {
  const start = clock.now();
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  done.catch(() => {});
  for (;;) {
    await turn();
    if (isOver) break;
    clock.advance(10);
  }
  await done;
  return clock.now() - start;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
