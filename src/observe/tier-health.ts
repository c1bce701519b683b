import type { StorageOutcome } from '../base/events.js';

/** So many failures in a row count as an outage: from then on the cache itself leaves the tier alone for a while. */
const FAILURES = 5;

/** Which storage tiers answer, by the outcomes of their operations. */
export class TierHealth {
  readonly #failures = new Map<string, number>();

  /** Each tier heard of, and whether it answers. */
  get tiers(): readonly (readonly [tier: string, isUp: boolean])[] {
    return [...this.#failures].map(([tier, failures]) => [tier, failures < FAILURES] as const);
  }

  /** Notes one outcome and tells if the tier was lost or came back by it. */
  note(tier: string, outcome: StorageOutcome): 'lost' | 'back' | undefined {
    const before = this.#failures.get(tier) ?? 0;
    const failed = outcome === 'error' || outcome === 'timeout';
    this.#failures.set(tier, failed ? before + 1 : 0);
    if (failed) return before + 1 === FAILURES ? 'lost' : undefined;
    return before >= FAILURES ? 'back' : undefined;
  }
}
