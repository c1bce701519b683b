import { describe, expect, test } from 'vitest';

import { TieredCache, type TieredCacheOptions } from '../../src/index.js';
import type { NodeRedisLike } from '../../src/redis/client.js';
import { redisStorage } from '../../src/redis/index.js';
import { manualClock } from '../../src/testing/index.js';
import { FIRST } from '../support/redis-clients.ts';
import { connections, newName, sharedRedis } from '../support/redis-suites.ts';

const connected = connections(sharedRedis(), FIRST);

/** What was sent: the names of commands, by round trip. What is sent after a reply has come is the next one. */
class Trips {
  readonly trips: string[][] = [];
  #isAnswered = true;

  /** `client`, watched. */
  of(client: NodeRedisLike): NodeRedisLike {
    const sendCommand = (...sent: never[]): Promise<unknown> => {
      if (this.#isAnswered) this.trips.push([]);
      this.#isAnswered = false;
      this.trips.at(-1)!.push(String((sent as unknown[][])[0]![0]));
      const answered = (): void => void (this.#isAnswered = true);
      const reply = client.sendCommand(...sent);
      reply.then(answered, answered);
      return reply;
    };
    return new Proxy(client, {
      get: (target, name) => {
        if (name === 'sendCommand') return sendCommand;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** Forgets what was sent so far. */
  reset(): void {
    this.trips.length = 0;
    this.#isAnswered = true;
  }
}

/** A cache without memory, over a Redis that knows scripts and markers, and what it sends from then on. */
async function setup({ lease = true, ...options }: Partial<TieredCacheOptions<string>> & { lease?: boolean } = {}) {
  const trips = new Trips();
  const storage = redisStorage({
    client: trips.of(connected[0]!.client as NodeRedisLike),
    prefix: `${newName('p')}:`,
    lease,
  });
  const before: (readonly string[])[] = [];
  const clock = manualClock();
  clock.advance(Date.now() - clock.now());
  const cache = new TieredCache<string>({
    ttl: '1m',
    staleWhileRevalidate: '10m',
    memory: false,
    clock,
    ...options,
    storage,
    upstream: () => {
      before.push(...trips.trips);
      trips.reset();
      return 'loaded';
    },
  });
  await cache.get('warm');
  await cache.idle();
  await cache.invalidate('warm');
  before.length = 0;
  trips.reset();
  return { cache, trips, before, clock };
}

describe('a cache over Redis', () => {
  test('sends one command for a hit', async () => {
    const { cache, trips } = await setup();
    await cache.get('k');
    await cache.idle();
    trips.reset();

    await cache.get('k');

    expect(trips.trips).toEqual([['MGET']]);
  });

  test('reads 1,000 keys of one turn in one round trip', async () => {
    const { cache, trips } = await setup();
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => cache.set(key, 'set')));
    await cache.idle();
    trips.reset();

    await Promise.all(keys.map((key) => cache.get(key)));

    // The marker of the namespace is the one key too many for one.
    expect(trips.trips).toEqual([['MGET', 'MGET']]);
  });

  test.each([true, false])('asks twice before a load, and stores once after it (leases: %s)', async (lease) => {
    const { cache, trips, before } = await setup({ lease });

    await cache.get('k');
    await cache.idle();

    expect(before).toEqual([['MGET'], ['EVALSHA']]);
    expect(trips.trips).toEqual([['EVALSHA']]);
  });

  test('asks once before a background reload of what memory holds, and stores once after it', async () => {
    const { cache, trips, before, clock } = await setup({ memory: undefined as never });
    await cache.get('k');
    await cache.idle();
    before.length = 0;
    trips.reset();
    clock.advance(60_000);

    expect((await cache.lookup('k')).status).toBe('stale');
    await cache.idle();

    expect(before).toEqual([['EVALSHA']]);
    expect(trips.trips).toEqual([['EVALSHA']]);
  });

  test('sends a removal of one key in one command, and reads a version before a set', async () => {
    const { cache, trips } = await setup();

    await cache.invalidate('k');
    expect(trips.trips).toEqual([['EVALSHA']]);
    trips.reset();
    await cache.set('k', 'set');

    expect(trips.trips).toEqual([['EVALSHA'], ['EVALSHA']]);
  });

  test('sends removals of 10,000 keys in chunks', async () => {
    const { cache, trips } = await setup();

    await cache.invalidate(Array.from({ length: 10_000 }, (_, index) => `k${index}`));

    // As many as are under way at a time.
    expect(trips.trips.flat()).toEqual(Array.from({ length: Math.ceil(10_000 / 512) }, () => 'UNLINK'));
  });
});
