import { createEntry, expiredAt, isStorable, plain, type Entry } from './entry.js';
import { windowsOf, type LifetimeSettings } from './options.js';
import type { Stages } from './stages.js';
import { hold } from './write-back.js';

/**
 * Makes what is stored for `keys` unusable now; resolves with whether any tier held one of them.
 *
 * Everything up to the first `await` happens in the caller's tick: from then on no read finds the old value, in memory,
 * in a flight or in storage, however late the tiers confirm.
 */
export async function invalidate<V>(stages: Stages<V>, keys: readonly string[]): Promise<boolean> {
  let held = false;
  const removals: Promise<boolean>[] = [];
  for (const key of keys) {
    fence(stages, key);
    if (stages.memory.delete(key)) held = true;
    for (const tier of stages.tiers) removals.push(tier.remove(key));
    if (stages.events.wants('invalidate')) stages.events.emit({ type: 'invalidate', key });
  }
  const reports = await Promise.all(removals);
  return held || reports.includes(true);
}

/** Makes what is stored for `keys` stale now, and keeps it as a fallback. */
export async function expire<V>(stages: Stages<V>, keys: readonly string[]): Promise<void> {
  const at = stages.clock.now();
  const changes: Promise<void>[] = [];
  for (const key of keys) {
    // A load under way may have read the upstream before whatever made the caller call.
    fence(stages, key);
    const held = stages.memory.peek(key);
    if (held !== undefined && held.freshUntil > at) hold(stages, key, expiredAt(held, at));
    for (const tier of stages.tiers) changes.push(tier.expire(key, at));
    if (stages.events.wants('expire')) stages.events.emit({ type: 'expire', key });
  }
  await Promise.all(changes);
}

/** Stores `value` in all tiers. A load that started earlier never overwrites it. */
export async function set<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Promise<void> {
  const entry = entryOf(stages, key, value, lifetime);
  fence(stages, key);
  if (stages.events.wants('set')) stages.events.emit({ type: 'set', key });
  if (!isStorable(entry)) {
    stages.memory.delete(key);
    await Promise.all(stages.tiers.map((tier) => tier.remove(key)));
    return;
  }
  hold(stages, key, entry);
  if (stages.tiers.length === 0) return;
  const stored = plain(entry);
  await Promise.all(stages.tiers.map((tier) => tier.put(key, stored, { keep: true })));
}

function entryOf<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Entry<V> {
  const now = stages.clock.now();
  const ttl = value === undefined ? stages.settings.absentTtl : lifetime.ttl;
  const windows = value === undefined && ttl === 0 ? { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 } : windowsOf({ ...lifetime, ttl }, value, key, {});
  return createEntry(value, windows, { startedAt: now, createdAt: now, tags: lifetime.tags });
}

/** Detaches everything under way for `key`: those who wait get their answer, no tier and no later caller does. */
function fence<V>(stages: Stages<V>, key: string): void {
  stages.flights.fence(key);
  stages.probes.fence(key);
  stages.failures.forget(key);
}
