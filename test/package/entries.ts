import { existsSync, readFileSync } from 'node:fs';

// The one list of entry points is `exports` in package.json: the build, the checks of the package and the tests go by it.

/** What a program may import by the name of the package. */
export interface EntryPoint {
  /** `sqlite` of `soloflight/sqlite`; `index` of the package itself. */
  readonly name: string;
  readonly specifier: string;
  /** The file of the source that it is built from. */
  readonly source: string;
  /** The condition under which the specifier means this file, where it is not the only one. */
  readonly condition: string | undefined;
}

/** A file, or one for each condition. */
type Target = string | { readonly [condition: string]: Target };

// By URL, which tsup keeps when it bundles its configuration.
const ROOT = new URL('../../', import.meta.url);

export const ENTRIES: readonly EntryPoint[] = entriesOf(
  (JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { exports: Readonly<Record<string, Target>> })
    .exports,
);

/** Names that each entry point must offer, for the programs of users start from them. */
export const NAMES: Readonly<Record<string, readonly string[]>> = {
  soloflight: [
    'Singleflight',
    'SoloflightError',
    'TieredCache',
    'isSoloflightError',
    'jsonCodec',
    'loaded',
    'lruMemory',
    'mapStorage',
    'noMemory',
    'notModified',
    'schemaOnLoad',
    'sieveMemory',
    'toCacheStatus',
  ],
  'soloflight/backplane': ['broadcastChannelBackplane'],
  'soloflight/browser': [
    'connectivity',
    'indexedDbQueue',
    'indexedDbStorage',
    'sharedWrites',
    'webStorageQueue',
    'webStorageStorage',
    'whileLeading',
  ],
  'soloflight/codecs': ['encrypt', 'gzip', 'structuredCloneCodec', 'textCodec', 'valueCodec'],
  'soloflight/http': [
    'HttpStatusError',
    'byteRanges',
    'cachedFetch',
    'cachedHandler',
    'errorLifetime',
    'fetchUpstream',
    'honoCache',
    'httpEvents',
    'normalize',
    'purgeRequests',
    'sizeOfResponse',
    'softPurge',
  ],
  'soloflight/keyv': ['keyvStorage'],
  'soloflight/node': ['fastifyCache', 'nodeCache'],
  'soloflight/observe': [
    'INSTRUMENTS',
    'advise',
    'diagnosticsChannels',
    'explain',
    'logTo',
    'observe',
    'openTelemetry',
    'prometheusText',
    'savings',
  ],
  'soloflight/redis': ['redisBackplane', 'redisQueue', 'redisStorage'],
  'soloflight/sqlite': ['sqliteQueue', 'sqliteStorage'],
  'soloflight/testing': [
    'InvariantError',
    'chaos',
    'checkInvariants',
    'manualClock',
    'scriptedUpstream',
    'storageSuite',
    'watchRejections',
    'writeQueueSuite',
  ],
  'soloflight/unstorage': ['unstorageStorage'],
  'soloflight/writes': ['Batcher', 'WriteBehind', 'batchedUpstream', 'memoryQueue'],
  'soloflight/cloudflare': [
    'Alarms',
    'CacheObject',
    'cacheApiStorage',
    'durableCache',
    'durableQueue',
    'durableStorage',
    'objectWrites',
    'tokenOf',
    'workerCache',
    'workersKvStorage',
  ],
};

/** What built entries import from outside: those that are not here, nothing. Only one is bound to a platform. */
export const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  index: ['lru-cache'],
  cloudflare: ['cloudflare:workers', 'lru-cache'],
  'cloudflare.node': ['lru-cache'],
  http: ['lru-cache'],
  node: ['lru-cache'],
  'index.workerd': ['cloudflare:workers', 'lru-cache'],
  'http.workerd': ['cloudflare:workers', 'lru-cache'],
};

/** The entry points that `exports` offers. */
export function entriesOf(exports: Readonly<Record<string, Target>>): EntryPoint[] {
  return Object.entries(exports).flatMap(([path, target]) =>
    distinct(builtFor(target)).map(([name, condition]) => {
      const specifier = `soloflight${path.slice(1)}`;
      return { name, specifier, source: sourceOf(name, specifier), condition };
    }),
  );
}

/** `files` without those that are there without a condition as well. */
function distinct<T extends readonly [name: string, condition: string | undefined]>(files: readonly T[]): T[] {
  const plain = new Set(files.filter(([, condition]) => condition === undefined).map(([name]) => name));
  return files.filter(([name, condition]) => condition === undefined || !plain.has(name));
}

/** The files of the build in `target`, by name, each with its condition. */
function builtFor(target: Target, condition?: string): (readonly [name: string, condition: string | undefined])[] {
  if (typeof target !== 'string')
    return Object.entries(target).flatMap(([key, inner]) => builtFor(inner, key === 'default' ? condition : key));
  const name = /^\.\/dist\/(.+)\.js$/.exec(target)?.[1];
  return name === undefined ? [] : [[name, condition]];
}

/** A folder's index, an adapter in `storage`, or a file of `src` itself. */
function sourceOf(name: string, specifier: string): string {
  const candidates = [`src/${name}.ts`, `src/${name}/index.ts`, `src/storage/${name}.ts`];
  const source = candidates.find((file) => existsSync(new URL(file, ROOT)));
  if (source === undefined) throw new Error(`${specifier} has no source: there is none of ${candidates.join(', ')}`);
  return source;
}
