import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { createCache as createDedupe } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { redisDriver } from 'bentocache/drivers/redis';
import { createCache as createManager } from 'cache-manager';
import { Cacheable, Keyv } from 'cacheable';
import { Redis } from 'ioredis';
import { Loader, RedisCache } from 'layered-loader';
import { createClient } from 'redis';
import { defineBackplane, TieredCache } from 'soloflight';
import { redisBackplane, redisStorage } from 'soloflight/redis';

import { firstVersion } from './first-version.ts';

/*
 * `npm run bench:redis` measures what stands between a program and its Redis, beside bare commands and other libraries.
 * With `--versions` only this version and 0.1.0, in turns. Everything in one run over one Redis; a candidate and the bare commands on its own client take turns, and ratios are
 * medians over rounds. Needs redis-server, and writes nothing.
 */

const [ROUNDS, HITS, BURST] = [60, 200, 1_000];
const VALUE = { id: 42, title: 'A post', body: 'x'.repeat(400), tags: ['a', 'b'] };

const port = await freePort();
const server = spawn(
  'redis-server',
  ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  {
    stdio: 'ignore',
  },
);
process.once('exit', () => server.kill('SIGKILL'));
const nodeRedis = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: 20 } }).on(
  'error',
  () => {},
);
await nodeRedis.connect();
const ioredis = new Redis(port, '127.0.0.1');

type Read = (key: string) => Promise<unknown>;
interface Candidate {
  readonly name: string;
  /** Bare commands on the same client. */
  readonly bare: Read;
  readonly read: Read;
  readonly invalidate: (key: string) => Promise<unknown>;
}

const load: Read = () => Promise.resolve(VALUE);
const bareNodeRedis: Read = async (key) => JSON.parse((await nodeRedis.get(`bare:${key}`)) ?? 'null') as unknown;
const bareIoredis: Read = async (key) => JSON.parse((await ioredis.get(`bare:${key}`)) ?? 'null') as unknown;

function soloflight(name: string, client: typeof nodeRedis | typeof ioredis, bare: Read, lease: boolean): Candidate {
  const storage = redisStorage({ client, prefix: `${name}:`, lease });
  const cache = new TieredCache({ ttl: '1h', memory: false, storage, upstream: load });
  return { name, bare, read: (key) => cache.get(key), invalidate: (key) => cache.invalidate(key) };
}

function peers(): Candidate[] {
  const bare = bareIoredis;
  const bento = new BentoCache({
    default: 'redis',
    stores: { redis: bentostore().useL2Layer(redisDriver({ connection: ioredis })) },
  });
  const loader = new Loader<typeof VALUE>({
    asyncCache: new RedisCache<typeof VALUE>(ioredis, { json: true, ttlInMsecs: 3_600_000, prefix: 'll' }),
    dataSources: [{ get: () => Promise.resolve(VALUE), getMany: () => Promise.resolve([]), name: 'upstream' }],
  });
  const dedupe = createDedupe({ ttl: 3_600, storage: { type: 'redis', options: { client: ioredis } } }).define(
    'read',
    load as never,
  );
  const keyv = (namespace: string): Keyv =>
    new Keyv({
      namespace,
      store: {
        get: (key: string) => ioredis.get(key),
        set: (key: string, value: string, ttl?: number) => ioredis.set(key, value, 'PX', ttl ?? 3_600_000),
        delete: async (key: string) => (await ioredis.del(key)) > 0,
        clear: () => Promise.resolve(),
      },
    });
  const cacheable = new Cacheable({ primary: keyv('cacheable'), ttl: '1h' });
  const manager = createManager({ stores: [keyv('manager')], ttl: 3_600_000 });
  return [
    {
      name: 'bentocache',
      bare,
      read: (key) => bento.getOrSet({ key, ttl: '1h', factory: () => VALUE }),
      invalidate: (key) => bento.delete({ key }),
    },
    {
      name: 'layered-loader',
      bare,
      read: (key) => loader.get(key),
      invalidate: (key) => loader.invalidateCacheFor(key),
    },
    {
      name: 'async-cache-dedupe',
      bare,
      read: (key) => (dedupe as unknown as { read: Read }).read(key),
      invalidate: () => Promise.resolve(),
    },
    {
      name: 'cacheable',
      bare,
      read: (key) => cacheable.getOrSet(key, () => Promise.resolve(VALUE)),
      invalidate: (key) => cacheable.delete(key),
    },
    {
      name: 'cache-manager',
      bare,
      read: (key) => manager.wrap(key, () => VALUE),
      invalidate: (key) => manager.del(key),
    },
  ];
}

if (process.argv.includes('--versions')) {
  try {
    await versions();
  } finally {
    end();
  }
  process.exit();
}

try {
  const keys = Array.from({ length: BURST }, (_, number) => `post:${number}`);
  for (const key of keys) await nodeRedis.set(`bare:${key}`, JSON.stringify(VALUE));
  const candidates = [
    soloflight('soloflight, node-redis', nodeRedis, bareNodeRedis, true),
    soloflight('soloflight, ioredis', ioredis, bareIoredis, true),
    soloflight('soloflight, ioredis, no leases', ioredis, bareIoredis, false),
    ...peers(),
  ];
  console.log(
    '| over Redis, memory empty | one hit × a bare `GET` | 1,000 reads at once × 1,000 bare `GET`s | commands per hit | per miss |',
  );
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const candidate of candidates) {
    await candidate.read('scripts are known from now on');
    await pause(20);
    const cold = await commandsOf(() => candidate.read('cold'));
    await Promise.all(keys.map(candidate.read));
    await pause(500);
    const hit = await commandsOf(() => candidate.read(keys[0]!));
    const single = await ratio(candidate, (read) => oneByOne(read, keys.slice(0, HITS)));
    const burst = await ratio(candidate, (read) => Promise.all(keys.map(read)));
    console.log(`| ${candidate.name} | ${single.toFixed(2)} × | ${burst.toFixed(2)} × | ${hit} | ${cold} |`);
  }
  await visibility();
} finally {
  end();
}

function end(): void {
  nodeRedis.destroy();
  ioredis.disconnect();
  server.kill('SIGKILL');
}

/** This version and 0.1.0 beside bare commands, all in turns. */
async function versions(): Promise<void> {
  const first = await firstVersion();
  const made = (prefix: string) => ({ ttl: '1h', memory: false, upstream: load, name: prefix }) as const;
  const client = { client: nodeRedis };
  const ours = new TieredCache<unknown>({ ...made('now'), storage: redisStorage({ ...client, prefix: 'now:' }) });
  const caches: Pick<TieredCache<unknown>, 'get' | 'set' | 'invalidate'>[] = [ours];
  if (first !== undefined)
    caches.push(
      new first.TieredCache({
        ...made('first'),
        storage: first.redisStorage({ ...client, prefix: 'first:' }),
      }) as never,
    );
  const keys = Array.from({ length: BURST }, (_, number) => `post:${number}`);
  const many = Array.from({ length: 10_000 }, (_, number) => `many:${number}`);
  const payload = JSON.stringify(VALUE);
  for (const key of keys) await nodeRedis.set(`bare:${key}`, payload);
  for (const cache of caches) await Promise.all(keys.map((key) => cache.set(key, VALUE)));

  const hits = [
    () => oneByOne(bareNodeRedis, keys.slice(0, HITS)),
    ...caches.map((cache) => () => oneByOne((key) => cache.get(key), keys.slice(0, HITS))),
  ];
  const bursts = [
    () => Promise.all(keys.map(bareNodeRedis)),
    ...caches.map((cache) => () => Promise.all(keys.map((key) => cache.get(key)))),
  ];
  let misses = 0;
  const loads = [
    () => oneByOne(bareNodeRedis, keys.slice(0, HITS)),
    ...caches.map((cache) => () => oneByOne(() => cache.get(`cold:${(misses += 1)}`), keys.slice(0, HITS))),
  ];
  const fill = [
    () => Promise.all(many.map((key) => nodeRedis.set(`bare:${key}`, payload))),
    ...caches.map((cache) => () => Promise.all(many.map((key) => cache.set(key, VALUE)))),
  ];
  const removals = [
    () => Promise.all(many.map((key) => nodeRedis.unlink(`bare:${key}`))),
    ...caches.map((cache) => () => cache.invalidate(many)),
  ];
  console.log('| over Redis, node-redis, memory empty | now | 0.1.0 |\n| --- | ---: | ---: |');
  await row('a hit × a bare `GET`', hits, ROUNDS);
  await row('a load that takes no time × a bare `GET`', loads, ROUNDS);
  await row('1,000 reads at once × 1,000 bare `GET`s', bursts, ROUNDS);
  await row('`invalidate` of 10,000 keys × 10,000 bare `UNLINK`s', removals, 9, fill);
}

/** Prints medians of ratios to the first of `runs`. All take turns, each time in another order. */
async function row(
  name: string,
  runs: readonly (() => Promise<unknown>)[],
  rounds: number,
  before: readonly (() => Promise<unknown>)[] = [],
): Promise<void> {
  const ratios: number[][] = runs.map(() => []);
  for (let round = -2; round < rounds; round += 1) {
    const times: number[] = [];
    for (let turn = 0; turn < runs.length; turn += 1) {
      const index = (turn + round + 2) % runs.length;
      await before[index]?.();
      const start = performance.now();
      await runs[index]!();
      times[index] = performance.now() - start;
    }
    if (round >= 0) for (const [index, time] of times.entries()) ratios[index]!.push(time / times[0]!);
  }
  const [, ...found] = ratios.map((all) => `${quantile(all, 0.5).toFixed(2)} ×`);
  console.log(`| ${name} | ${[...found, '-'].slice(0, 2).join(' | ')} |`);
}

/** Commands sent to Redis by `run` and what follows from it. What a script does inside Redis costs no trip. */
async function commandsOf(run: () => Promise<unknown>): Promise<number> {
  const counted = async (): Promise<Map<string, number>> => {
    await pause(20);
    const stats = await ioredis.info('commandstats');
    const calls = [...stats.matchAll(/cmdstat_(\w+)[\w|]*:calls=(\d+)/g)];
    return new Map(calls.map(([, name, count]) => [name!, Number(count)]));
  };
  const before = await counted();
  await run();
  const after = await counted();
  const sent = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
  const scripts = sent.some(([name, count]) => name.startsWith('eval') && count > 0);
  const counts = scripts ? /^(?:eval|evalsha|get|mget)$/ : /^(?!info$)/;
  return sent.filter(([name]) => counts.test(name)).reduce((sum, [, count]) => sum + count, 0);
}

/** The median over rounds of the time of the candidate through that of bare commands. */
async function ratio({ read, bare }: Candidate, run: (read: Read) => Promise<unknown>): Promise<number> {
  const ratios: number[] = [];
  for (let round = -5; round < ROUNDS; round += 1) {
    const times =
      round % 2 === 0 ? [await timed(read), await timed(bare)] : [await timed(bare), await timed(read)].toReversed();
    if (round >= 0) ratios.push(times[0]! / times[1]!);
  }
  return quantile(ratios, 0.5);

  async function timed(reader: Read): Promise<number> {
    const start = performance.now();
    await run(reader);
    return performance.now() - start;
  }
}

async function oneByOne(read: Read, keys: readonly string[]): Promise<void> {
  for (const key of keys) await read(key);
}

/** How long after an invalidation was called another cache has dropped the key, beside a bare message on the same connections. */
async function visibility(): Promise<void> {
  const subscribers = await Promise.all([nodeRedis.duplicate().connect(), nodeRedis.duplicate().connect()]);
  const [mine, theirs] = subscribers as [typeof nodeRedis, typeof nodeRedis];
  let seen: () => void = () => {};
  const real = redisBackplane({ publisher: nodeRedis, subscriber: theirs });
  const watched: typeof real = defineBackplane({
    name: 'watched',
    publish: (messages) => real.publish(messages),
    subscribe: (listener) =>
      real.subscribe({
        lost: () => listener.lost(),
        receive: (message) => {
          listener.receive(message);
          seen();
        },
      }),
  });
  const options = { ttl: '1h', storage: redisStorage({ client: nodeRedis, prefix: 'v:' }), upstream: load } as const;
  const there = new TieredCache({ ...options, backplane: watched });
  const here = new TieredCache({ ...options, backplane: redisBackplane({ publisher: nodeRedis, subscriber: mine }) });
  await there.get('k');
  await here.get('k');
  await theirs.subscribe('bare', () => seen());
  const [bare, ours]: [number[], number[]] = [[], []];
  for (let round = 0; round < 1_000; round += 1) {
    bare.push(await latency(() => nodeRedis.publish('bare', '{"keys":["k"]}')));
    ours.push(await latency(() => here.invalidate('k')));
  }
  const row = (name: string, values: readonly number[]): string =>
    `| ${name} | ${quantile(values, 0.5).toFixed(3)} ms | ${quantile(values, 0.99).toFixed(3)} ms |`;
  console.log('\n| from the call until another cache has dropped the key | median | p99 |\n| --- | ---: | ---: |');
  console.log(row('a bare message', bare));
  console.log(row('`invalidate`', ours));
  console.log(
    `| ratio | ${(quantile(ours, 0.5) / quantile(bare, 0.5)).toFixed(2)} × | ${(quantile(ours, 0.99) / quantile(bare, 0.99)).toFixed(2)} × |`,
  );
  await Promise.all([here.close(), there.close()]);
  for (const subscriber of subscribers) subscriber.destroy();

  async function latency(send: () => Promise<unknown>): Promise<number> {
    const arrived = new Promise<void>((resolve) => (seen = resolve));
    const start = performance.now();
    const sending = send();
    await arrived;
    const took = performance.now() - start;
    await sending;
    return took;
  }
}

function quantile(values: readonly number[], q: number): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * q)]!;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return free;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
