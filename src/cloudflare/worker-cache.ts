import * as runtime from 'cloudflare:workers';

import type { TieredCacheOptions } from '../cache/options.js';
import { TieredCache } from '../cache/tiered-cache.js';
import { misuse } from '../errors.js';
import { requestScope } from '../requests/scope.js';

/**
 * A {@link TieredCache} for plain Workers, where many requests share one isolate and none may rely on another to live on.
 *
 * May be built at module scope.
 *
 * The same as `new TieredCache` with `scope: requestScope()` and, unless `defer` is given, the runtime's own `waitUntil`: a
 * load goes on when the client that caused it leaves. If the runtime ends it nevertheless, its followers notice after
 * three seconds without a sign of life, or at `maxDuration` if that is sooner, and one of them loads anew.
 *
 * Values must be plain data: a `Response`, a stream or a stub belongs to the request that made it.
 *
 * @example
 * ```ts
 * import { workerCache } from 'soloflight/cloudflare';
 *
 * const products = workerCache<unknown>({
 *   ttl: '10s',
 *   staleWhileRevalidate: '1m',
 *   upstream: async (path, { signal }) => {
 *     const response = await fetch(`https://api.example.com${path}`, { signal });
 *     if (!response.ok) throw new Error(`HTTP ${response.status}`);
 *     return response.json();
 *   },
 * });
 *
 * export default {
 *   fetch: async (request: Request) => Response.json(await products.get(new URL(request.url).pathname)),
 * };
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 */
export function workerCache<V>(options: TieredCacheOptions<V>): TieredCache<V> {
  if (options?.scope === 'shared') throw misuse('scope', "not 'shared': use `TieredCache` elsewhere", 'shared');
  return new TieredCache<V>({ scope: requestScope({ waitUntil: runtime.waitUntil }), ...options });
}
