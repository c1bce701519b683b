import type { TieredCacheOptions } from './cache/options.js';
import { TieredCache } from './cache/tiered-cache.js';
import { misuse } from './errors.js';
import { requestScope } from './requests/scope.js';

// The entry `soloflight/cloudflare` where the condition `node` holds: nothing here imports `cloudflare:workers`. Adapters
// work; a program that names the classes of objects can be loaded, as tests do, and only using them fails.
export { Alarms } from './cloudflare/alarms.js';
export { cacheApiStorage } from './cloudflare/cache-api.js';
export { durableQueue } from './cloudflare/durable-queue.js';
export { durableStorage } from './cloudflare/durable-storage.js';
export { objectWrites } from './cloudflare/object-writes.js';
export { tokenOf } from './cloudflare/token.js';
export { workersKvStorage } from './cloudflare/workers-kv.js';
export { WriteConflictError } from './writes/write-errors.js';

/** Stands for the class of the same name, which needs the platform. */
export function CacheObject(): never {
  throw elsewhere('CacheObject');
}

/** Stands for the function of the same name, which needs the platform. */
export function durableCache(): never {
  throw elsewhere('durableCache');
}

/** The cache of the same name, without the runtime's `waitUntil`, which Node does not need. */
export function workerCache<V>(options: TieredCacheOptions<V>): TieredCache<V> {
  if (options?.scope === 'shared') throw misuse('scope', "not 'shared': use `TieredCache` elsewhere", 'shared');
  return new TieredCache<V>({ scope: requestScope(), ...options });
}

function elsewhere(name: string): TypeError {
  return new TypeError(
    `\`${name}\` of soloflight/cloudflare runs in Workers only. In the bundle of a Worker, set the condition \`workerd\``,
  );
}
