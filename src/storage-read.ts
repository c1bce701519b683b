import { freshness, type Entry } from './entry.js';
import type { Stages, Stored, Tiered } from './stages.js';

/** The first servable entry of the storage tiers, else the newest one that may serve as a fallback. */
export async function fromStorage<V>(
  stages: Stages<V>,
  key: string,
  held: Tiered<V> | undefined,
): Promise<Stored<V> | undefined> {
  let best: Stored<V> | undefined;
  for (const [depth, tier] of stages.tiers.entries()) {
    const entry = (await tier.get(key)) as Entry<V> | undefined;
    if (entry === undefined) continue;
    const newest = best ?? held;
    // What memory holds is as new: it was promoted from there, or written back to there.
    if (newest !== undefined && entry.startedAt <= newest.entry.startedAt) continue;
    best = { entry, tier: tier.name, depth };
    const state = freshness(entry, stages.clock.now());
    if (state === 'fresh' || state === 'stale') return best;
  }
  return best;
}
