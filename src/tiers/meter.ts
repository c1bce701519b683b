import type { StorageOutcome } from '../base/events.js';
import { isThenable } from '../base/promises.js';
import type { Clock, MaybePromise } from '../contracts.js';
import { isSoloflightError } from '../errors.js';
import type { Metering } from '../ports.js';

/** Tells how long the operations of one storage tier take and how they end, while anybody wants to know. */
export class Meter {
  readonly #clock: Clock;
  readonly #metering: Metering | undefined;
  readonly #tier: string;

  constructor(clock: Clock, tier: string, metering: Metering | undefined) {
    this.#clock = clock;
    this.#tier = tier;
    this.#metering = metering;
  }

  /** The result of `work`, which is within its deadline already. `outcomeOf`: how it ended, by what it brought. */
  run<T>(
    operation: string,
    work: () => MaybePromise<T>,
    outcomeOf: (result: T) => StorageOutcome = done,
  ): MaybePromise<T> {
    const metering = this.#metering;
    if (metering === undefined || !metering.wanted()) return work();
    const since = this.#clock.monotonic();
    const tell = (outcome: StorageOutcome): void =>
      metering.tell(this.#tier, operation, outcome, this.#clock.monotonic() - since);
    const failed = (error: unknown): never => {
      tell(isSoloflightError(error, 'SOLOFLIGHT_TIER_TIMEOUT') ? 'timeout' : 'error');
      throw error;
    };
    const ended = (result: T): T => {
      tell(outcomeOf(result));
      return result;
    };
    let result: MaybePromise<T>;
    try {
      result = work();
    } catch (error) {
      return failed(error);
    }
    return isThenable(result) ? result.then(ended, failed) : ended(result);
  }
}

function done(): StorageOutcome {
  return 'ok';
}

/** How a reading ended that brought `found`. */
export function found(entry: unknown): StorageOutcome {
  return entry === undefined ? 'miss' : 'hit';
}
