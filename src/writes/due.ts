import type { Clock, MaybePromise } from '../contracts.js';

/** The parts that {@link Due} works with. */
export interface DueOptions {
  readonly clock: Clock;
  /** Replaces the timer: called with the epoch millisecond at which a run is wanted. */
  readonly schedule: ((dueAt: number) => MaybePromise<void>) | undefined;
  readonly run: () => void;
  readonly failed: (error: unknown) => void;
}

/** Plans the next run, with a timer of its own or with somebody else's alarm. */
export class Due {
  readonly #options: DueOptions;
  #at = Infinity;
  #cancel: (() => void) | undefined;

  constructor(options: DueOptions) {
    this.#options = options;
  }

  /** Monotonic milliseconds; `Infinity` for never. */
  get at(): number {
    return this.#at;
  }

  /** Plans the run for `at`, replacing any earlier plan. */
  set(at: number): void {
    if (at === this.#at) return;
    this.#at = at;
    this.#cancel?.();
    this.#cancel = undefined;
    if (at === Infinity) return;
    const { clock, schedule, run } = this.#options;
    const wait = Math.max(0, at - clock.monotonic());
    if (schedule !== undefined) {
      this.#tell(schedule, Math.ceil(clock.now() + wait));
      return;
    }
    this.#cancel = clock.after(wait, () => {
      this.#at = Infinity;
      this.#cancel = undefined;
      run();
    });
  }

  #tell(schedule: (dueAt: number) => MaybePromise<void>, dueAt: number): void {
    new Promise<void>((resolve) => resolve(schedule(dueAt))).catch((error: unknown) => {
      // Forgets the plan, so that the next change asks again.
      this.#at = Infinity;
      this.#options.failed(error);
    });
  }
}
