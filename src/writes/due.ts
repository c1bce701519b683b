import type { Clock, MaybePromise } from '../contracts.js';

/** What {@link Due} works with. */
export interface DueOptions {
  readonly clock: Clock;
  /** Takes the place of a timer: told the epoch millisecond at which `run` is wanted. */
  readonly schedule: ((dueAt: number) => MaybePromise<void>) | undefined;
  readonly run: () => void;
  readonly failed: (error: unknown) => void;
}

/** When something is to run next: a timer of our own, or somebody else's alarm. */
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

  /** Wants to run at `at`, instead of at any other instant. */
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
      // Asked again as soon as anything changes.
      this.#at = Infinity;
      this.#options.failed(error);
    });
  }
}
