import type { Clock, MaybePromise } from '../contracts.js';
import { UNREADABLE, type GuardedTier, type Reading } from './guard.js';

/** How long a reading serves where another one would cost a round trip, milliseconds. */
const KEPT = 1_000;

/**
 * The marker that says until when a namespace was cleared in one tier, read no more often than it has to be.
 *
 * A tier that reads several keys at once has it read along with each entry, a synchronous one once there is an entry.
 * Elsewhere each reading would be a command of its own, and one a second must do.
 */
export class ClearMarker {
  readonly #guard: GuardedTier;
  readonly #key: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #reading: MaybePromise<Reading>;
  /** Monotonic milliseconds. */
  #keptUntil = -Infinity;

  constructor(guard: GuardedTier, key: string, clock: Pick<Clock, 'monotonic'>) {
    this.#guard = guard;
    this.#key = key;
    this.#clock = clock;
  }

  /** A reading that goes along with that of an entry, which may turn out not to be there. */
  along(): MaybePromise<Reading> {
    return this.#guard.waits ? this.#saved() : undefined;
  }

  /** What is to be known of the marker for an entry that is there, given what went along with it. */
  confirmed(along: MaybePromise<Reading>): MaybePromise<Reading> {
    if (along !== undefined) return along;
    return this.#guard.waits ? this.#saved() : this.#guard.read(this.#key);
  }

  /** A reading that costs no command of its own, or not each time. */
  #saved(): MaybePromise<Reading> {
    return this.#guard.gathers ? this.#sharedByTurn() : this.#kept();
  }

  #sharedByTurn(): MaybePromise<Reading> {
    if (this.#reading === undefined) {
      this.#reading = this.#guard.read(this.#key);
      void Promise.resolve().then(() => (this.#reading = undefined));
    }
    return this.#reading;
  }

  #kept(): MaybePromise<Reading> {
    const now = this.#clock.monotonic();
    if (now < this.#keptUntil) return this.#reading;
    const reading = Promise.resolve(this.#guard.read(this.#key));
    if (this.#guard.mayVanish) return this.#keptOnceThere(reading, now + KEPT);
    this.#keptUntil = now + KEPT;
    this.#reading = reading;
    void reading.then((marker) => {
      if (marker === UNREADABLE && this.#reading === reading) this.#keptUntil = -Infinity;
    });
    return reading;
  }

  /** Who reads may vanish before there is an answer, and others must not wait for it then. */
  async #keptOnceThere(reading: Promise<Reading>, until: number): Promise<Reading> {
    const marker = await reading;
    if (marker === UNREADABLE) return marker;
    this.#reading = marker;
    this.#keptUntil = until;
    return marker;
  }
}
