import { afterEach, expect } from 'vitest';

import { atEndOfTurn } from '../../src/base/turn.js';
import { TieredCache, type TieredCacheOptions } from '../../src/index.js';
import {
  checkInvariants,
  manualClock,
  scriptedUpstream,
  watchRejections,
  type ManualClock,
  type ScriptedUpstream,
} from '../../src/testing/index.js';
import { watchStory } from './story.js';

/** The parts of one cache under test. The test decides when the upstream answers and when time moves. */
export interface Parts<V> {
  readonly cache: TieredCache<V>;
  readonly clock: ManualClock;
  readonly upstream: ScriptedUpstream<V>;
}

interface Checked {
  readonly cache: TieredCache<never>;
  readonly upstream: ScriptedUpstream<never>;
  readonly checkStory: (() => void) | undefined;
}

/** The most entries in memory, unless a test says otherwise. */
const DEFAULT_MAX = 10_000;

const opened: Checked[] = [];
const rejections = watchRejections();

/** A cache with a second of freshness, a minute of staleness and ten minutes of fallback, unless `options` say otherwise. */
export function setupCache<V = string>(
  options: Partial<TieredCacheOptions<V>> & { readonly clock?: ManualClock } = {},
): Parts<V> {
  const clock = options.clock ?? manualClock({ random: () => 0.999 });
  const upstream = scriptedUpstream<V>();
  const cache = new TieredCache<V>({
    ttl: '1s',
    staleWhileRevalidate: '1m',
    staleIfError: '10m',
    upstream,
    ...options,
    clock,
  });
  const checked: TieredCache<never> = cache as never;
  opened.push({ cache: checked, upstream: upstream as never, checkStory: isTold() ? watchStory(checked) : undefined });
  return { cache, clock, upstream };
}

/** Caches of half the tests have listeners, since with listeners reads take other ways. */
function isTold(): boolean {
  return (expect.getState().currentTestName ?? '').length % 2 === 0;
}

/** Lets all promises that can settle without outside help do so. */
export async function settle(): Promise<void> {
  for (let batch = 0; batch < 4; batch += 1) {
    for (let turn = 0; turn < 50; turn += 1) await null;
    await new Promise<void>(atEndOfTurn);
  }
}

afterEach(async () => {
  for (const { cache, upstream, checkStory } of opened.splice(0)) {
    for (const call of upstream.calls) if (!call.settled) call.reject(new Error('left over'));
    await checkInvariants(cache, { maxSize: DEFAULT_MAX, upstream, rejections });
    checkStory?.();
  }
});
