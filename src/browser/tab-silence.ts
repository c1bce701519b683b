import type { Clock } from '../contracts.js';

/**
 * So many rounds of this many milliseconds without a word, 3.75 to 4.25 s, and the leading tab counts as suspended. Rounds instead of
 * one timer: a tab that was itself suspended hears what came meanwhile before it has counted them.
 */
const ROUND = 750;
const ROUNDS = 5;
/** The first round is longer by up to this, by chance: tabs that ask at the same instant must not take the lead from each other. */
const SPREAD = 500;

/** The parts that {@link Silence} works with. */
export interface SilenceParts {
  readonly clock: Clock;
  /** Whether an answer is waited for. */
  readonly isWaiting: () => boolean;
  /** Asks the leading tab whether it is awake. */
  readonly ping: () => void;
  /** Called when it is not. */
  readonly over: () => void;
}

/** Notices that the leading tab answers nothing at all. Messages wake a tab in the background; timers may come late there. */
export class Silence {
  readonly #parts: SilenceParts;
  #rounds = 0;
  #cancel: (() => void) | undefined;

  constructor(parts: SilenceParts) {
    this.#parts = parts;
  }

  /** Called when the leading tab was heard. */
  heard(): void {
    this.#rounds = 0;
  }

  /** Begins to listen, until nothing is waited for any more. */
  listen(): void {
    if (this.#cancel !== undefined) return;
    this.#rounds = 0;
    this.#next(this.#parts.clock.random() * SPREAD);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #next(longer = 0): void {
    const { clock, isWaiting, ping, over } = this.#parts;
    this.#cancel = clock.after(ROUND + longer, () => {
      this.#cancel = undefined;
      if (!isWaiting()) return;
      this.#rounds += 1;
      if (this.#rounds < ROUNDS) ping();
      else {
        this.#rounds = 0;
        over();
      }
      this.#next();
    });
  }
}
