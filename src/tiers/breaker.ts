/** Whether a call may go ahead: as usual, as the one that tries whether the tier is back, or not. */
export type Admission = 'closed' | 'probe' | 'open';

const THRESHOLD = 5;
const FIRST_PAUSE = 5_000;
const LONGEST_PAUSE = 60_000;

/**
 * Stops calls to something that keeps failing, and lets one through now and then to see whether it is back.
 *
 * Instants are monotonic milliseconds.
 */
export class Breaker {
  readonly #mayVanish: boolean;
  #failures = 0;
  #pause = FIRST_PAUSE;
  #retryAt = 0;
  #probing = false;

  /** `mayVanish`: whoever makes a call may never come back to say how it went. The next probe then waits for a pause only. */
  constructor(mayVanish = false) {
    this.#mayVanish = mayVanish;
  }

  /** Whether the last call failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Every 'closed' or 'probe' must be followed by {@link succeed} or {@link fail}. */
  admit(now: number): Admission {
    if (this.#failures < THRESHOLD) return 'closed';
    if (now < this.#retryAt || (this.#probing && !this.#mayVanish)) return 'open';
    this.#probing = true;
    if (this.#mayVanish) this.#retryAt = now + this.#pause;
    return 'probe';
  }

  succeed(): void {
    this.#failures = 0;
    this.#pause = FIRST_PAUSE;
    this.#probing = false;
  }

  fail(now: number): void {
    this.#failures += 1;
    if (this.#failures < THRESHOLD) return;
    // Failures of calls that were under way when it opened are old news and must not prolong the pause.
    if (this.#failures > THRESHOLD && !this.#probing) return;
    if (this.#probing) this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
    this.#probing = false;
    this.#retryAt = now + this.#pause;
  }
}
