import { ignore } from '../base/promises.js';
import { isFromFuture, type HeldEntry } from '../entry.js';
import type { Stored } from '../ports.js';
import type { Ask, CacheFlight, Reads } from './reads.js';

/** Writes `entry` to storage once `flight` is over. Returns a promise where the cache awaits its write-backs. */
export function storeBehind<V>(
  { storage, rules, deferred }: Reads<V>,
  flight: CacheFlight<V>,
  entry: HeldEntry<V>,
): Promise<unknown> | undefined {
  if (storage === undefined) return undefined;
  const { fallback, permit, ask, loadSince } = flight.detail;
  // An entry from the future would otherwise pass for the newer one until the clocks have caught up.
  const keep = fallback !== undefined && isFromFuture(fallback.entry, entry.createdAt);
  // A pending write that a read has seen has no permit: it may be delivered, and changed elsewhere, before this lands. A tier that
  // compares only forgets what it replaces.
  const how = { keep: keep || loadSince === undefined, permit };
  if (rules.writeBack === 'await') return storage.store(flight.key, entry, how);
  const write = storage.store(flight.key, entry, { ...how, after: afterAnswers(flight) });
  deferred.add(write, 'write-back', ask.read.waitUntil);
  return undefined;
}

/** Makes an entry that a storage tier held known to the tiers above it, with its original instants. */
export function promote<V>(reads: Reads<V>, key: string, { entry, depth, permit }: Stored<V>, { read }: Ask<V>): void {
  const held = reads.held.peek(key);
  if (held !== undefined && held.startedAt > entry.startedAt) return;
  reads.held.hold(key, entry);
  // Its callers are to look into memory first from now on.
  reads.flights.rush = undefined;
  if (depth === 0) return;
  const write = reads.storage?.store(key, entry, { keep: false, above: depth, permit });
  if (write !== undefined) reads.deferred.add(write, 'write-back', read.waitUntil);
}

/** Drops what the tiers hold for `key`, in the background. */
export function drop<V>({ held, storage, deferred }: Reads<V>, key: string): void {
  held.drop(key);
  if (storage !== undefined) deferred.add(storage.remove(key), 'write-back');
}

/** Resolves a few microtasks after `flight` settled, when its subscribers have run. */
async function afterAnswers<V>({ promise }: CacheFlight<V>): Promise<void> {
  await promise.then(ignore, ignore);
  await null;
  await null;
  await null;
}
