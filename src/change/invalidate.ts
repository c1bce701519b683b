import { createEntry, isStorable, type HeldEntry } from '../entry.js';
import { heldQuietly, hold } from '../read/held.js';
import { tagsOf, windowsOf, type LifetimeSettings } from '../read/lifetime.js';
import type { TagMode } from '../marks/namespace.js';
import type { News } from '../fleet/outgoing.js';
import type { Stages } from '../read/stages.js';

/** Tags that storage is told of together. */
const MARKED_AT_ONCE = 1_000;

/**
 * Makes what is stored for `keys` unusable now; resolves with whether any tier held one of them.
 *
 * Everything up to the first `await` happens in the caller's tick: from then on no read finds the old value, in memory,
 * in a flight or in storage, however late the tiers confirm.
 */
export async function invalidate<V>(stages: Stages<V>, keys: readonly string[]): Promise<boolean> {
  let held = false;
  const at = stages.clock.now();
  const removals: Promise<boolean>[] = [];
  for (const key of keys) {
    fence(stages, key);
    if (stages.memory.delete(key)) held = true;
    for (const tier of stages.tiers) removals.push(tier.remove(key));
  }
  announce(stages, 'invalidate', keys);
  const reports = await Promise.all(removals);
  await tell(stages, { kind: 'invalidate', keys, at });
  return held || reports.includes(true);
}

/** Makes what memory holds for `key` unusable now, and leaves storage alone. */
export function drop<V>(stages: Stages<V>, key: string): void {
  fence(stages, key);
  stages.memory.delete(key);
}

/** Makes what is stored for `keys` stale now, and keeps it as a fallback. */
export async function expire<V>(stages: Stages<V>, keys: readonly string[]): Promise<void> {
  // Hits go by a reading of the clock that may be a little older than now; to them too it must be stale.
  const at = Math.min(stages.clock.now(), stages.turn.now());
  const changes: Promise<void>[] = [];
  for (const key of keys) {
    // A load under way may have read the upstream before whatever made the caller call.
    fence(stages, key);
    const held = heldQuietly(stages, key);
    if (held !== undefined && held.freshUntil > at) hold(stages, key, held.expired(at));
    for (const tier of stages.tiers) changes.push(tier.expire(key, at));
  }
  announce(stages, 'expire', keys);
  await Promise.all(changes);
  await tell(stages, { kind: 'expire', keys, at });
}

/**
 * Makes all entries that have one of `tags` unusable, or stale, now.
 *
 * Nothing is looked for: entries are compared with their tags' marks when they are read. A load under way is not
 * fenced, since its tags are known only when it is over; callers from now on take its result only if it has none of these.
 */
export async function invalidateTags<V>(stages: Stages<V>, tags: readonly string[], mode: TagMode): Promise<void> {
  const { marks, space, clock, events, deferred } = stages;
  const at = marks.mark(space, tags, mode, clock.now());
  stages.rush.flight = undefined;
  const writes = storeMarks(stages, tags, mode, at);
  if (tags.length > MARKED_AT_ONCE) deferred.add(writes, 'write-back');
  if (events.wants('tags')) events.emit({ type: 'tags', tags, mode });
  await writes;
  await tell(stages, { kind: 'tags', tags, mode, at });
}

/** Tells storage of very many tags bit by bit: what waits to be written has a bound. */
async function storeMarks<V>({ tiers }: Stages<V>, tags: readonly string[], mode: TagMode, at: number): Promise<void> {
  for (let from = 0; from < tags.length; from += MARKED_AT_ONCE) {
    const some = tags.slice(from, from + MARKED_AT_ONCE);
    await Promise.all(tiers.flatMap((tier) => some.map((tag) => tier.mark(tag, mode, at))));
  }
}

/** Makes all entries unusable now, in a time that does not depend on how many there are. */
export async function clear<V>(stages: Stages<V>): Promise<void> {
  const { marks, space, tiers, clock, events, flights, probes, failures } = stages;
  const at = marks.clear(space, clock.now());
  stages.rush.flight = undefined;
  flights.fenceAll();
  probes.fenceAll();
  failures.clear();
  stages.clearMemory();
  const writes = tiers.map((tier) => tier.clear(at));
  if (events.wants('clear')) events.emit({ type: 'clear' });
  await Promise.all(writes);
  await tell(stages, { kind: 'clear', at });
}

/** Stores `value` in all tiers. A load that started earlier never overwrites it. */
export async function set<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Promise<void> {
  const entry = entryOf(stages, key, value, lifetime);
  fence(stages, key);
  const writes = isStorable(entry) ? put(stages, key, entry) : remove(stages, key);
  announce(stages, 'set', [key]);
  await Promise.all(writes);
  await tell(stages, { kind: 'set', keys: [key], at: entry.startedAt });
}

/** Tells other processes. Only when storage is done: they would read from there what they have just dropped. */
async function tell<V>({ coherence, space }: Stages<V>, news: Omit<News, 'space'>): Promise<void> {
  if (news.keys?.length !== 0) await coherence?.tell({ ...news, space: space.path });
}

function put<V>(stages: Stages<V>, key: string, entry: HeldEntry<V>): Promise<unknown>[] {
  hold(stages, key, entry);
  return stages.tiers.map((tier) => tier.put(key, entry, { keep: true }));
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

/** The entry of a value that is written, not loaded. */
export function entryOf<V>(
  stages: Stages<V>,
  key: string,
  value: V | undefined,
  lifetime: LifetimeSettings<V>,
): HeldEntry<V> {
  const { absentTtl, jitter, isolation } = stages.settings;
  const now = stages.clock.now();
  const windows = windowsOf(lifetime, value, { key, absentTtl, jitter, clock: stages.clock });
  const tags = tagsOf(lifetime, value, key);
  const { epoch } = stages.marks;
  return createEntry(isolation.keep(value), windows, { startedAt: now, createdAt: now, tags, epoch });
}

/** Detaches everything under way for `key`: those who wait get their answer, no tier and no later caller does. */
export function fence<V>(stages: Stages<V>, key: string): void {
  stages.flights.fence(key);
  stages.probes.fence(key);
  stages.failures.forget(key);
}
