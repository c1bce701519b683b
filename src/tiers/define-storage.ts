import { checkMethods, checkNames, checkObject } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import { CONNECT, type Duration, type StorageAdapter, type StorageTier } from '../contracts.js';
import { misuse } from '../errors.js';
import type { StorageConnector, TierSettings } from '../ports.js';
import { Nameless } from './nameless.js';
import { checkShape, type ShapeOptions } from './shape.js';
import { GuardedRoom } from './storage.js';

/** Options that belong to one storage tier. */
export interface TierOptions extends ShapeOptions {
  /** How long this tier holds an entry at most. It shortens an entry's life here, and never lengthens it. @default as long as the entry lives */
  readonly ttl?: Duration | undefined;
  /** Deadline of one read; beyond it the read is a miss. `Infinity` turns it off. @default the cache's `readTimeout` */
  readonly readTimeout?: Duration | undefined;
  /** Deadline of one write. `Infinity` turns it off. @default the cache's `writeTimeout` */
  readonly writeTimeout?: Duration | undefined;
}

/** Names of {@link TierOptions}. */
export const TIER_OPTIONS: readonly string[] = ['ttl', 'readTimeout', 'writeTimeout', 'schema', 'version'];
const NEEDED = ['get', 'set', 'delete'] as const;
const OPTIONAL = [
  ...(['getMany', 'setMany', 'deleteMany', 'setIfNewer', 'version', 'setIfVersion', 'lease'] as const),
  ...(['onLeaseEnd', 'onReady', 'onLoss', 'keys', 'clear', 'sweep', 'close'] as const),
];

/**
 * Makes a storage tier of an adapter: guarded by deadlines and a breaker, with what it missed told to it again.
 *
 * Every factory calls it; authors of adapters do so too, so that who uses no storage need not bundle any of this.
 *
 * @throws TypeError for an adapter without a name or one of `get`, `set` and `delete`, and for an option that makes no sense.
 *
 * @example
 * ```ts
 * import { defineStorage, TieredCache, type Entry } from 'soloflight';
 *
 * const entries = new Map<string, Entry>();
 * const storage = defineStorage({
 *   name: 'my map',
 *   get: (key) => entries.get(key),
 *   set: (key, entry) => void entries.set(key, entry),
 *   delete: (key) => entries.delete(key),
 * });
 * const cache = new TieredCache<string>({ ttl: '10s', storage, upstream: (id) => `post ${id}` });
 * console.log(await cache.get('1')); // post 1
 * ```
 */
export function defineStorage(adapter: StorageAdapter, options: TierOptions = {}): StorageTier {
  checkMethods('adapter', 'a storage adapter', adapter, NEEDED);
  if (typeof adapter.name !== 'string' || adapter.name === '')
    throw misuse('adapter', 'a storage adapter (missing: name)', adapter);
  const settings = resolveTier(options);
  const tier: Record<PropertyKey, unknown> = { name: adapter.name };
  if (adapter.forgets !== undefined) tier['forgets'] = adapter.forgets;
  for (const method of [...NEEDED, ...OPTIONAL]) {
    const own: unknown = adapter[method];
    // Bound here, since an adapter may be of a class with private fields.
    if (typeof own === 'function') tier[method] = own.bind(adapter);
  }
  const connect: StorageConnector['connect'] = (tiers, context) => new GuardedRoom(tiers, context);
  const nameless = new Nameless();
  const enter: StorageConnector['enter'] = (name, source) => nameless.enter(name, source);
  tier[CONNECT] = { settings, connect, enter } satisfies StorageConnector;
  return tier as never;
}

/** Those of `options` that belong to any tier, for the factories of adapters. */
export function tierOptionsOf({ ttl, readTimeout, writeTimeout, schema, version }: TierOptions): TierOptions {
  return { ttl, readTimeout, writeTimeout, schema, version };
}

function resolveTier(options: TierOptions): TierSettings {
  checkObject('options', options);
  checkNames(options, TIER_OPTIONS);
  const { ttl, readTimeout, writeTimeout, schema, version } = options;
  checkShape(options);
  const deadline = (name: string, value: Duration | undefined): number | undefined =>
    value === undefined ? undefined : parseDuration(name, value, { zero: false, infinite: true });
  return {
    shape: { schema, version },
    ttl: deadline('ttl', ttl),
    readTimeout: deadline('readTimeout', readTimeout),
    writeTimeout: deadline('writeTimeout', writeTimeout),
  };
}
