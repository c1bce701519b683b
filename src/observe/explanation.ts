import type { InspectedEntry, Inspection } from '../read/inspect.js';
import type { Cause } from './causes.js';
import type { ObservedCache } from './observed.js';

/** A cache whose keys can be looked at. */
export interface ExplainedCache extends ObservedCache {
  inspect(key: string): Promise<Inspection>;
}

/**
 * What a `get` of the key would do now.
 *
 * - `hit`, `stale`: it is answered at once, or by what storage holds.
 * - `fallback`: a load failed a moment ago, and an old value stands in for the next one.
 * - `failed`: it rejects with the failure of a load a moment ago (`errorTtl`).
 * - `wait`: it waits for a load under way.
 * - `miss`: it loads.
 */
export type Verdict = 'hit' | 'stale' | 'fallback' | 'failed' | 'wait' | 'miss';

/** Why a key does what it does. `String(explanation)` says the same in sentences. Holds no value. */
export interface Explanation {
  readonly key: string;
  readonly verdict: Verdict;
  /** Who answers: `'memory'`, `'writes'`, the name of a storage tier, or `'upstream'`; `undefined` if a failure is all there is. */
  readonly answeredBy: string | undefined;
  /** The best of what was found, as `inspect` tells it. */
  readonly state: Inspection['state'];
  readonly entries: readonly InspectedEntry[];
  /** Whether a load is under way. */
  readonly loading: boolean;
  /** The failed load that is not repeated yet. `error` is its code or name: a message may quote a value. */
  readonly failure:
    | {
        readonly error: string;
        readonly attempts: number;
        readonly retryIn: number;
        readonly covered: boolean;
      }
    | undefined;
  /** The last changes of the key that this process has made or heard of since it began to watch, the newest first, at most ten. */
  readonly causes: readonly Cause[];
  toString(): string;
}
