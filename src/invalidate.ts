import { createEntry, expiredAt, isStorable, plain, type Entry } from './entry.js';
import { windowsOf, type LifetimeSettings } from './lifetime.js';
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
  }
  announce(stages, 'invalidate', keys);
  const reports = await Promise.all(removals);
  return held || reports.includes(true);
}

/** Makes what is stored for `keys` stale now, and keeps it as a fallback. */
export async function expire<V>(stages: Stages<V>, keys: readonly string[]): Promise<void> {
  // Hits go by a reading of the clock that may be a little older than now; to them too it must be stale.
  const at = Math.min(stages.clock.now(), stages.turn.now());
  const changes: Promise<void>[] = [];
  for (const key of keys) {
    // A load under way may have read the upstream before whatever made the caller call.
    fence(stages, key);
    const held = stages.memory.peek(key);
    if (held !== undefined && held.freshUntil > at) hold(stages, key, expiredAt(held, at));
    for (const tier of stages.tiers) changes.push(tier.expire(key, at));
  }
  announce(stages, 'expire', keys);
  await Promise.all(changes);
}

/** Stores `value` in all tiers. A load that started earlier never overwrites it. */
export async function set<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Promise<void> {
  const entry = entryOf(stages, key, value, lifetime);
  fence(stages, key);
  const writes = isStorable(entry) ? put(stages, key, entry) : remove(stages, key);
  announce(stages, 'set', [key]);
  await Promise.all(writes);
}

function put<V>(stages: Stages<V>, key: string, entry: Entry<V>): Promise<unknown>[] {
  hold(stages, key, entry);
  const stored = plain(entry);
  return stages.tiers.map((tier) => tier.put(key, stored, { keep: true }));
}

/** A value that can't be stored still ends the life of the one before it. */
function remove<V>(stages: Stages<V>, key: string): Promise<unknown>[] {
  stages.memory.delete(key);
  return stages.tiers.map((tier) => tier.remove(key));
}

/** Tells listeners when all is done that is done at once: one that reads back must not find what was there before. */
function announce<V>({ events }: Stages<V>, type: 'set' | 'invalidate' | 'expire', keys: readonly string[]): void {
  if (!events.wants(type)) return;
  for (const key of keys) events.emit({ type, key });
}

function entryOf<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Entry<V> {
  const { absentTtl, jitter, isolation } = stages.settings;
  const now = stages.clock.now();
  const windows = windowsOf(lifetime, value, { key, absentTtl, jitter, clock: stages.clock });
  return createEntry(isolation.keep(value), windows, { startedAt: now, createdAt: now, tags: lifetime.tags });
}

/** Detaches everything under way for `key`: those who wait get their answer, no tier and no later caller does. */
function fence<V>(stages: Stages<V>, key: string): void {
  stages.flights.fence(key);
  stages.probes.fence(key);
  stages.failures.forget(key);
}
