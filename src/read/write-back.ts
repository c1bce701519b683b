import { isFromFuture, isStorable, type HeldEntry } from '../entry.js';
import { ignore } from '../flights/flight.js';
import { heldQuietly, hold, usable } from './held.js';
import type { Ask, CacheFlight, Stages, Stored, Tiered } from './stages.js';

/**
 * Puts a loaded entry into the tiers, unless its flight was fenced or has ended meanwhile.
 *
 * Memory is written at once. Storage follows after the subscribers have their answer, or is awaited where the cache
 * says so. Returns whether the entry is stored; failures are reported, not thrown.
 */
export function writeBack<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  entry: HeldEntry<V>,
  previous: Tiered<V> | undefined,
  store: boolean,
): boolean {
  // An invalidation, a `set`, a timeout or an abort came after the load had started: its result is too old to keep.
  if (flight.fenced || flight.outcome !== undefined) return false;
  // Of a tag that was invalidated or expired meanwhile.
  if (usable(stages, entry) !== entry) return false;
  stages.flights.supersede(flight);
  stages.failures.forget(flight.key);
  if (!store || !isStorable(entry)) {
    // The newer value can't be kept, and the older one must not outlive it.
    if (previous !== undefined) drop(stages, flight.key);
    return false;
  }
  hold(stages, flight.key, entry);
  return true;
}

/** Writes `entry` to storage once `flight` is over, or now if the cache awaits its write-backs. */
export function storeBehind<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  entry: HeldEntry<V>,
  previous: Tiered<V> | undefined,
): Promise<void> | undefined {
  if (stages.tiers.length === 0) return undefined;
  // An entry from the future would otherwise pass for the newer one until the clocks have caught up.
  const keep = previous !== undefined && isFromFuture(previous.entry, entry.createdAt);
  const awaits = stages.settings.writeBack === 'await';
  const options = awaits ? { keep } : { keep, after: afterAnswers(flight) };
  const { lease } = flight.detail;
  const leased = lease === undefined || lease.ended ? options : { ...options, lease };
  const writes = Promise.all(
    stages.tiers.map((tier) => tier.put(flight.key, entry, tier === stages.leasing?.tier ? leased : options)),
  );
  if (awaits) return writes.then(ignore);
  stages.deferred.add(writes, 'write-back', flight.detail.ask.read.waitUntil);
  return undefined;
}

/** Makes an entry that a storage tier held known to the tiers above it, with its original instants. */
export function promote<V>(stages: Stages<V>, key: string, found: Stored<V>, ask: Ask<V>): void {
  const held = heldQuietly(stages, key);
  if (held !== undefined && held.startedAt > found.entry.startedAt) return;
  hold(stages, key, found.entry);
  for (const tier of stages.tiers.slice(0, found.depth)) {
    stages.deferred.add(tier.put(key, found.entry, { keep: false }), 'write-back', ask.read.waitUntil);
  }
}

function drop<V>(stages: Stages<V>, key: string): void {
  stages.memory.delete(key);
  for (const tier of stages.tiers) stages.deferred.add(tier.remove(key), 'write-back');
}

/** Resolves a few microtasks after `flight` settled, when its subscribers have run. */
async function afterAnswers<V>(flight: CacheFlight<V>): Promise<void> {
  await flight.promise.then(ignore, ignore);
  await null;
  await null;
  await null;
}
