import { pauseAfter, type Retry } from '../base/backoff.js';
import type { Clock } from '../contracts.js';

/** The parts that {@link Settling} works with. */
export interface SettlingParts {
  readonly clock: Clock;
  readonly retry: Retry;
  /** Tries to settle what is in doubt, and resolves to whether nothing is any more. Must not reject. */
  readonly settle: () => Promise<boolean>;
}

/** Goes on trying to settle what is in doubt, with pauses, whether anybody writes or not. */
export class Settling {
  readonly #parts: SettlingParts;
  #tries = 0;
  #cancel: (() => void) | undefined;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#cancel !== undefined) return;
    const { clock, retry, settle } = this.#parts;
    this.#tries += 1;
    this.#cancel = clock.after(pauseAfter(this.#tries, retry, clock), () => {
      void settle().then((isSettled) => {
        // Stopped meanwhile.
        if (this.#cancel === undefined) return;
        this.#cancel = undefined;
        if (isSettled) this.#tries = 0;
        else this.start();
      });
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
