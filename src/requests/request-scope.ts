import type { Deferred } from '../read/deferred.js';
import { ignore } from '../flights/flight.js';
import type { Lease } from './heartbeat.js';
import type { CacheSettings, DeferReason } from '../cache/options.js';
import type { ReadSettings } from '../read/read-options.js';
import type { Ask, Stages } from '../read/stages.js';

/** What a write is taken to last at most where the cache sets no limit, milliseconds. */
const LONG = 60_000;

/** Milliseconds after which a write counts as over, since the request that made it may be gone. */
export function longestWork<V>({ scope, writeTimeout }: CacheSettings<V>): number {
  return scope === 'shared' ? Infinity : 2 * Math.min(writeTimeout, LONG);
}

/**
 * Hands what `flight` does to the request that leads it, which may end before: its client leaves, or has its answer.
 *
 * It is not counted as deferred work: a flight has a lease, and that is what is waited for.
 */
export function holdRequest(
  { deferred }: { readonly deferred: Deferred },
  { lease, promise }: { readonly lease: Lease | undefined; readonly promise: Promise<unknown> },
  reason: DeferReason,
  { read }: { readonly read: ReadSettings },
): void {
  if (lease !== undefined) deferred.hand(promise.then(ignore, ignore), reason, read.waitUntil);
}

/** What is left of `ask` for a caller who waited since `since` for a leader that is gone. */
export function afterLoss<V>(stages: Stages<V>, ask: Ask<V>, since: number): Ask<V> {
  const { timeout } = ask.read;
  if (timeout === Infinity) return ask;
  return { ...ask, read: { ...ask.read, timeout: Math.max(0, timeout - (stages.clock.monotonic() - since)) } };
}
