import { expect } from 'vitest';

import type { CacheEventType, CacheStats, TieredCache } from '../../src/index.js';

type Counted = 'hits' | 'staleHits' | 'fallbacks' | 'coalesced' | 'loadFailures' | 'revalidations' | 'tierErrors';

/** Each of these counts one kind of event. */
const COUNTED: readonly (readonly [Counted, CacheEventType])[] = [
  ['hits', 'hit'],
  ['staleHits', 'stale'],
  ['fallbacks', 'fallback'],
  ['coalesced', 'coalesced'],
  ['loadFailures', 'load-error'],
  ['revalidations', 'revalidate'],
  ['tierErrors', 'tier-error'],
];

/**
 * Sums up the events of `cache` from now on. The returned function fails where they tell another story than its statistics:
 * call it when nothing is under way.
 */
export function watchStory(cache: TieredCache<never>): () => void {
  const events = new Map<CacheEventType, number>();
  for (const type of ['load', ...COUNTED.map(([, event]) => event)] as const)
    cache.on(type, () => void events.set(type, (events.get(type) ?? 0) + 1));
  const sum = (type: CacheEventType): number => events.get(type) ?? 0;
  return () => {
    const stats: CacheStats = cache.getStats();
    expect(Object.fromEntries(COUNTED.map(([name]) => [name, stats[name]]))).toEqual(
      Object.fromEntries(COUNTED.map(([name, type]) => [name, sum(type)])),
    );
    const { failed, timedOut, aborted } = stats.flights;
    expect(stats.loadLatency.count).toBe(sum('load'));
    // Loads that were aborted are told of by nobody: nobody waited for them.
    expect(stats.loads - sum('load') - sum('load-error')).toBeGreaterThanOrEqual(0);
    expect(stats.loads - sum('load') - sum('load-error')).toBeLessThanOrEqual(aborted);
    // A flight may fail without a load: a failure a moment ago forbids it.
    expect(failed + timedOut).toBeGreaterThanOrEqual(stats.loadFailures);
  };
}
