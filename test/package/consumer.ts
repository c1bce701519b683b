import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';

import { attempt, root, run, tool } from './command.ts';
import { NAMES } from './entries.ts';

/** Loads every entry point both ways, and prints the names that each gives, as JSON. */
const PROBE = `
const entries = ${JSON.stringify(Object.keys(NAMES))};
const names = (entry) => Object.keys(entry).filter((name) => name !== '__esModule' && name !== 'module.exports').sort();
`;
const IMPORTED = `${PROBE}
const found = {};
for (const entry of entries) found[entry] = names(await import(entry));
const { mapStorage, Singleflight, TieredCache } = await import('soloflight');
const { cachedFetch } = await import('soloflight/http');
const { sqliteStorage } = await import('soloflight/sqlite');
const { WriteBehind, memoryQueue } = await import('soloflight/writes');

const flights = new Singleflight();
let executions = 0;
const shared = await Promise.all([1, 2].map(() => flights.execute('key', async () => (executions += 1))));

// A second cache finds in the storage what the first one loaded.
const secondRead = async (openStorage, value) => {
  const cacheOf = (value) => new TieredCache({ ttl: '1m', storage: openStorage(), upstream: () => value });
  const first = cacheOf(value);
  await first.get('key');
  await first.close();
  return cacheOf('loaded again').get('key');
};

let requests = 0;
const headers = { 'cache-control': 'max-age=60' };
const fetch = cachedFetch({ fetch: async () => new Response('answer ' + (requests += 1), { headers }) });
const texts = [];
for (const url of ['https://origin.example/', 'https://origin.example/']) texts.push(await (await fetch(url)).text());

const taken = [];
const writes = new WriteBehind({ queue: memoryQueue(), sink: (batch) => void taken.push(...batch.map(({ key }) => key)) });
await writes.put('written', 1);
await writes.close();

const map = mapStorage();
found.answers = [...shared, await secondRead(() => map, 'stored'), ...texts, ...taken];
const { DatabaseSync } = await import('node:sqlite');
const database = new DatabaseSync(':memory:');
found.answers.push(await secondRead(() => sqliteStorage({ database }), 'in SQLite'));
console.log(JSON.stringify(found));
`;
const REQUIRED = `${PROBE}
const found = {};
for (const entry of entries) found[entry] = names(require(entry));
if (require('soloflight/package.json').name !== 'soloflight') throw new Error('soloflight/package.json is not what it should be');
const { Singleflight, TieredCache } = require('soloflight');
const cache = new TieredCache({ ttl: '1s', upstream: () => 2 });
Promise.all([new Singleflight().execute('key', () => 1), cache.get('key')]).then((answers) => {
  console.log(JSON.stringify({ ...found, answers }));
});
`;

/** A Worker that answers with the names of every entry point, and with what an object of its own caches. */
const WORKER = `
import { CacheObject, durableCache } from 'soloflight/cloudflare';
${Object.keys(NAMES)
  .map((entry, at) => `import * as entry${at} from '${entry}';`)
  .join('\n')}
const found = {${Object.keys(NAMES)
  .map((entry, at) => `'${entry}': Object.keys(entry${at})`)
  .join(', ')}};
let loads = 0;
export class Doubles extends CacheObject {
  configure() {
    return { ttl: '1m', upstream: (key) => ({ double: 2 * key, loads: ++loads }) };
  }
}
export default {
  async fetch(request, env) {
    const doubles = durableCache(env.DOUBLES);
    const [{ double, loads }] = [await doubles.get('21'), await doubles.get('21')];
    return Response.json({ ...found, answers: [double, loads] });
  },
};
`;

/** A program that uses the entry points of Workers with types, right and wrong. */
const TYPED_WORKER = `
import { TieredCache } from 'soloflight';
import {
  Alarms,
  cacheApiStorage,
  CacheObject,
  durableCache,
  durableQueue,
  durableStorage,
  objectWrites,
  workerCache,
  workersKvStorage,
  WriteConflictError,
  type DurableCacheOptions,
} from 'soloflight/cloudflare';

interface Product {
  readonly name: string;
}
interface Env {
  readonly PRODUCTS: DurableObjectNamespace<Products>;
}
export class Products extends CacheObject<Env, Product> {
  protected override configure(env: Env) {
    return { ttl: '10s', idleTtl: '1d', upstream: (key: string) => ({ name: key + typeof env }) } as const;
  }
}
export class Profiles extends CacheObject<Env, Product> {
  protected override configure(): DurableCacheOptions<Product> {
    const sink = (writes: readonly { readonly value?: Product }[]) => writes.map(({ value }) => value?.name === '' ? { reject: 'no name' } : 'ok' as const);
    const apply = (product: Product | undefined, _change: unknown, key: string): Product => {
      if (product === undefined) throw new WriteConflictError(key, product);
      return product;
    };
    return { ttl: '10s', writes: objectWrites({ sink, apply, flushEvery: '1m', authorize: ({ headers }) => headers.get('cookie') ?? false }) };
  }
  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await super.webSocketMessage(socket, message);
    this.writes.on('dead-letter', ({ key }) => key.length);
  }
}
export const pending = async (env: Env): Promise<number> => (await products(env).getWriteStatus('1')).pending;
export const renamed = async (env: Env): Promise<string> => (await products(env).update('1', 'name')).name;
// @ts-expect-error The queue is the object's own.
export const queued: DurableCacheOptions<Product> = { ttl: '1s', writes: objectWrites({ sink: () => {}, queue: null }) };
// @ts-expect-error Writes go somewhere.
export const nowhere: DurableCacheOptions<Product> = { ttl: '1s', writes: objectWrites({}) };
// @ts-expect-error The options alone are not what takes writes.
export const bare: DurableCacheOptions<Product> = { ttl: '1s', writes: { sink: () => {} } };
// @ts-expect-error Writes of another type of value.
export const others: DurableCacheOptions<Product> = { ttl: '1s', writes: objectWrites<number>({ sink: () => {} }) };
export const stub = (env: Env) => env.PRODUCTS.getByName('1');
export const story = async (env: Env): Promise<number> => (await stub(env).lookup('1')).freshFor;
export const stories = async (env: Env): Promise<string[]> => (await stub(env).lookupMany(['1'])).map(({ key }) => key);
export const state = async (env: Env): Promise<number> => (await stub(env).getWriteStatus()).pending;
export const products = (env: Env) => durableCache(env.PRODUCTS, { shards: 4, locationHint: 'weur' });
export const name = async (env: Env): Promise<string> => (await products(env).get('1')).name;
export const front = (env: Env) => new TieredCache<Product>({ ttl: '1s', upstream: products(env).upstream });
export const plain = (kv: KVNamespace) =>
  workerCache<Product>({ ttl: '1s', storage: [cacheApiStorage(caches.default), workersKvStorage(kv)] });
export const own = (state: DurableObjectState) => [
  durableStorage(state.storage),
  durableQueue(state.storage),
  new Alarms(state.storage),
];

// @ts-expect-error A product has no price.
export const price = async (env: Env) => (await products(env).get('1')).price;
// @ts-expect-error Only products are cached there.
export const wrong = (env: Env) => products(env).set('1', 'name');
`;

/** A program that uses each entry point with types, right and wrong. */
const TYPED = `
import { isSoloflightError, loaded, lruMemory, Singleflight, TieredCache } from 'soloflight';
import { connectivity, indexedDbQueue, indexedDbStorage, sharedWrites, webStorageStorage } from 'soloflight/browser';
import { gzip, structuredCloneCodec } from 'soloflight/codecs';
import { cachedFetch, cachedHandler, fetchUpstream, type CachedFetch, type StoredResponse } from 'soloflight/http';
import { keyvStorage, type KeyvLike } from 'soloflight/keyv';
import { redisQueue, redisStorage, type RedisClient } from 'soloflight/redis';
import { sqliteQueue, sqliteStorage } from 'soloflight/sqlite';
import { manualClock, type StorageSuiteOptions } from 'soloflight/testing';
import { unstorageStorage, type UnstorageLike } from 'soloflight/unstorage';
import { Batcher, WriteBehind, type WriteOutcome, type WriteStatus } from 'soloflight/writes';

interface Post {
  readonly title: string;
}

export const flights = new Singleflight<number>({ maxDuration: '5s' });
export const doubled: Promise<number> = flights.execute(21, (flight) => flight.key * 2);
export const cache = new TieredCache<Post>({
  ttl: '10s',
  clock: manualClock(),
  memory: lruMemory({ max: 100 }),
  storage: sqliteStorage({ database: ':memory:' }),
  upstream: (key, { signal }) => loaded({ title: key + String(signal.aborted) }, { ttl: '1m' }),
});
export const title: Promise<string> = cache.get('post').then((post) => post.title);
export const failed: string | undefined = isSoloflightError(doubled) ? doubled.code : undefined;
export type Open = StorageSuiteOptions['open'];
export const kept = [webStorageStorage({ area: 'session' }), indexedDbStorage({ openTimeout: '1s' })];
export const codec = gzip(structuredCloneCodec, { above: 4_096 });
export const cached: CachedFetch = cachedFetch({ cache: new TieredCache<StoredResponse>({ ttl: 0 }), targeted: true });
export const plain: typeof globalThis.fetch = cached;
export const handler = cachedHandler((request: Request, name: string) => new Response(request.url + name));
export const source = fetchUpstream<Post>({ url: (key) => new URL(key), shared: true });
export const over = (keyv: KeyvLike, unstorage: UnstorageLike) => [keyvStorage(keyv, { codec }), unstorageStorage(unstorage)];
export const sums = new Batcher<number, string>({ handle: (numbers) => numbers.map(String) });
export const writes = new WriteBehind<Post>({
  queue: sqliteQueue({ database: 'writes.db' }),
  sink: async (batch): Promise<WriteOutcome<Post>[]> => batch.map(({ kind }) => (kind === 'put' ? 'ok' : { reject: kind })),
});
export const shared = sharedWrites<Post>({
  name: 'posts',
  open: () => new WriteBehind<Post>({ queue: indexedDbQueue(), sink: () => {} }),
});
export const inStep = new TieredCache<Post>({ ttl: '1m', upstream: () => ({ title: '' }), writes: shared });
export const behind = new TieredCache<Post>({ ttl: '1m', upstream: () => ({ title: '' }), writes });
// @ts-expect-error The writes are posts, the cache keeps strings.
export const outOfStep = new TieredCache<string>({ ttl: '1m', upstream: () => '', writes: shared });
export const updated: Promise<Post> = writes.update('a', (post) => post ?? { title: '' }, { current: () => cache.get('a') });
export const status: Promise<WriteStatus> = shared.status();
export const reachable: Promise<boolean> = connectivity({ probe: '/health' }).check().then((state) => state === 'online');

export const inRedis = (client: RedisClient) => [redisStorage({ client, codec }), redisQueue({ client, queue: 'q' })];

// @ts-expect-error \`ttl\` has no default.
export const noTtl = new TieredCache<Post>({ upstream: () => ({ title: '' }) });
// @ts-expect-error A unit is missing.
export const noUnit = new Singleflight({ maxDuration: '5' });
`;

const STRICT = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  target: 'es2022',
};

/** The ways in which strict programs find our types; none of them skips checking our declarations. */
export const TYPINGS = {
  'nodenext, on Node': {
    module: 'nodenext',
    lib: ['es2022'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  },
  'nodenext, on Node and in a browser': {
    module: 'nodenext',
    lib: ['es2022', 'dom'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  },
  'nodenext, in a browser': { module: 'nodenext', lib: ['es2022', 'dom'], types: [] },
  bundler: { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'webworker'], types: [] },
  'bundler, in a Worker': {
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022'],
    types: ['@cloudflare/workers-types'],
    typeRoots: [join(root, 'node_modules')],
  },
} as const;

/** An empty project in `folder` with `tarball` installed, as a user would have it. */
export async function createConsumer(folder: string, tarball: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n');
  await run('npm', ['install', tarball, '--no-audit', '--no-fund', '--loglevel=error'], folder);
  await writeFile(join(folder, 'imported.mjs'), IMPORTED);
  await writeFile(join(folder, 'required.cjs'), REQUIRED);
  await writeFile(join(folder, 'worker.mjs'), WORKER);
  await writeFile(join(folder, 'typed.ts'), TYPED);
  await writeFile(join(folder, 'typed-worker.ts'), TYPED_WORKER);
  await writeFile(join(folder, 'typed-commonjs.cts'), TYPED);
  return 'into an empty project';
}

/** Loads every entry point of the installed package in a runtime, checks the names that it gives, and uses what they name. */
export async function importIn(folder: string, executable: string, args: readonly string[] = []): Promise<string> {
  const printed = await run(executable, [...args, 'imported.mjs'], folder);
  return verifyFound(
    JSON.parse(printed) as Found,
    Object.keys(NAMES),
    '1,1,stored,answer 1,answer 1,written,in SQLite',
  );
}

/** The same by `require` in Node. */
export async function requireIn(folder: string, node: string): Promise<string> {
  return verifyFound(JSON.parse(await run(node, ['required.cjs'], folder)) as Found, Object.keys(NAMES), '1,2');
}

/** Bundles a Worker over the installed package as wrangler does, runs it in workerd, and checks what it gives. */
export async function loadInWorker(folder: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'worker.mjs')],
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    write: false,
  });
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-23',
      durableObjects: { DOUBLES: { className: 'Doubles', useSQLite: true } },
      cf: false,
    }),
  );
  try {
    const response = await worker.dispatchFetch('http://worker/');
    return verifyFound((await response.json()) as Found, Object.keys(NAMES), '42,1');
  } finally {
    await worker.dispose();
  }
}

type Found = Readonly<Record<string, readonly unknown[]>>;

function verifyFound(found: Found, entries: readonly string[], answers: string): string {
  for (const entry of entries) {
    const missing = NAMES[entry]!.filter((name) => !found[entry]?.includes(name));
    if (missing.length > 0) throw new Error(`${entry} lacks ${missing.join(', ')}`);
  }
  if (String(found['answers']) !== answers)
    throw new Error(`its classes answered ${String(found['answers'])}, not ${answers}`);
  return `${entries.length} entries`;
}

/** Older releases of TypeScript that read our types. The newest is the one that this repository uses. */
export const TYPESCRIPTS: readonly string[] = ['5.6.3', '5.9.3'];

/** Installs TypeScript `version` into an empty project inside `folder`, and resolves to its compiler. */
export async function installTypeScript(folder: string, version: string): Promise<string> {
  const home = join(folder, `typescript-${version}`);
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'package.json'), '{ "private": true }\n');
  await run('npm', ['install', `typescript@${version}`, '--no-audit', '--no-fund', '--loglevel=error'], home);
  const compiler = join(home, 'node_modules/.bin/tsc');
  const printed = (await run(compiler, ['--version'])).trim();
  if (printed !== `Version ${version}`) throw new Error(`The compiler calls itself ${printed}`);
  return compiler;
}

/** Type-checks the programs of the consumer, by the compiler of this repository or by another. */
export async function typecheck(
  folder: string,
  typing: keyof typeof TYPINGS,
  compiler: string = tool('tsc'),
): Promise<string> {
  const compilerOptions = { ...STRICT, ...TYPINGS[typing] };
  // Before 5.8, TypeScript lets no CommonJS module load an ES module, whatever Node does.
  const { stdout } = await attempt(compiler, ['--version']);
  const files = filesFor(typing, !stdout.startsWith('Version 5.6.'));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  await run(compiler, ['-p', 'tsconfig.json'], folder);
  return files.join(', ');
}

function filesFor(typing: keyof typeof TYPINGS, requires: boolean): readonly string[] {
  if (typing === 'bundler, in a Worker') return ['typed.ts', 'typed-worker.ts'];
  return typing === 'bundler' || !requires ? ['typed.ts'] : ['typed.ts', 'typed-commonjs.cts'];
}
