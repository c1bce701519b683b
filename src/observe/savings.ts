import { checkNames, checkObject } from '../base/checks.js';
import { misuse } from '../errors.js';
import { known, type ObservedCache, type ObservedFlights } from './observed.js';

/** What a cache or a `Singleflight` has saved since it was made. */
export interface Savings {
  /** Calls that the upstream would have got without it: one per read. */
  readonly before: number;
  /** Calls that it got. */
  readonly after: number;
  /** `before - after`. Negative if reloads in the background outnumber the reads. */
  readonly saved: number;
  /** `saved / before`; 0 before the first read. */
  readonly share: number;
  /** Reads that another's load answered: a part of `saved`. */
  readonly coalesced: number;
  /**
   * Work that the upstream was spared, milliseconds: `saved` times the mean duration of a load. `undefined` for a `Singleflight`,
   * which measures no durations, and before the first load.
   */
  readonly upstreamMs: number | undefined;
  /**
   * Waiting that callers were spared, milliseconds: answers without a load times the mean duration of a load. Callers that
   * joined a load are not counted, since they waited for it. `undefined` as above.
   */
  readonly waitingMs: number | undefined;
  /** `saved` times `costPerLoad`, in its currency; `undefined` without that option. */
  readonly cost: number | undefined;
}

/** Options of {@link savings}. */
export interface SavingsOptions {
  /** What one call of the upstream costs, in a currency of yours. @default none */
  readonly costPerLoad?: number;
}

/**
 * Tells how many calls of the upstream `source` has saved since it was made, and what these would have cost. A namespace tells
 * its own. Estimates by the mean: loads that were not made have no duration.
 *
 * @throws TypeError for what is neither a cache nor a `Singleflight`, or an option that makes no sense.
 */
export function savings(source: ObservedCache | ObservedFlights, options: SavingsOptions = {}): Savings {
  const { costPerLoad } = options;
  checkObject('options', options);
  checkNames(options, ['costPerLoad']);
  if (costPerLoad !== undefined && !(Number.isFinite(costPerLoad) && costPerLoad >= 0))
    throw misuse('costPerLoad', 'a number ≥ 0', costPerLoad);
  const found = known(source);
  if (found.kind === 'cache') {
    const { hits, staleHits, misses, fallbacks, coalesced, loads, loadLatency } = found.source.getStats();
    const { count, mean } = loadLatency;
    const atOnce = hits + staleHits;
    return told(
      { before: atOnce + misses + fallbacks, after: loads, coalesced, costPerLoad },
      count > 0 ? mean : undefined,
      atOnce,
    );
  }
  if (found.kind !== 'flights') throw misuse('source', 'a TieredCache or a Singleflight', source);
  const { led, joined } = found.source.getStats();
  return told({ before: led + joined, after: led, coalesced: joined, costPerLoad }, undefined, 0);
}

interface Counted {
  readonly before: number;
  readonly after: number;
  readonly coalesced: number;
  readonly costPerLoad: number | undefined;
}

function told({ before, after, coalesced, costPerLoad }: Counted, meanMs: number | undefined, atOnce: number): Savings {
  const saved = before - after;
  return {
    ...{ before, after, saved, coalesced },
    share: before === 0 ? 0 : saved / before,
    upstreamMs: meanMs === undefined ? undefined : saved * meanMs,
    waitingMs: meanMs === undefined ? undefined : atOnce * meanMs,
    cost: costPerLoad === undefined ? undefined : saved * costPerLoad,
  };
}
