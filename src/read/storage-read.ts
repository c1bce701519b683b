import { freshness, type HeldEntry } from '../entry.js';
import type { Stages, Stored, Tiered } from './stages.js';

/** The first servable entry of the storage tiers, else the newest one that may serve as a fallback. */
export async function fromStorage<V>(
  stages: Stages<V>,
  key: string,
  held: Tiered<V> | undefined,
): Promise<Stored<V> | undefined> {
  const starting = stages.coherence?.start();
  if (starting !== undefined) await starting;
  let best: Stored<V> | undefined;
  for (const [depth, tier] of stages.tiers.entries()) {
    const read = (await tier.get(key)) as HeldEntry<V> | undefined;
    if (read === undefined) continue;
    const entry = isolated(stages, read);
    const newest = best ?? held;
    // What memory holds is as new: it was promoted from there, or written back to there.
    if (newest !== undefined && entry.startedAt <= newest.entry.startedAt) continue;
    best = { entry, tier: tier.name, depth };
    const state = freshness(entry, stages.clock.now());
    if (state === 'fresh' || state === 'stale') return best;
  }
  return best;
}

/** `entry` with its value as this cache keeps values. Another cache may have stored it otherwise. */
export function isolated<V>({ settings }: Stages<V>, entry: HeldEntry<V>): HeldEntry<V> {
  const value = settings.isolation.keep(entry.value);
  return value === entry.value ? entry : entry.with(value);
}
