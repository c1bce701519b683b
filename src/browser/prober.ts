import type { ConnectivitySettings, Probe } from './connectivity-options.js';

/** The parts that a {@link Prober} works with. */
export interface ProberParts {
  readonly settings: ConnectivitySettings;
  /** Called with the outcome of each probe that was not given up. */
  readonly settled: (reached: boolean) => void;
}

/** Probes the server: one probe at a time, and again after growing pauses while the server can't be reached. */
export class Prober {
  readonly #parts: ProberParts;
  /** The probe under way. */
  #asking: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;
  #cancelPause: (() => void) | undefined;
  #failures = 0;

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** Whether a probe is under way, or planned. */
  get busy(): boolean {
    return this.#asking !== undefined || this.#cancelPause !== undefined;
  }

  /** Probes now, unless a probe is under way. Resolves when its outcome was reported, or it was given up. Never rejects. */
  ask(probe: Probe): Promise<void> {
    if (this.#asking !== undefined) return this.#asking.done;
    this.#endPause();
    const controller = new AbortController();
    const done = this.#ask(probe, controller);
    this.#asking = { controller, done };
    return done;
  }

  /** Calls `run` after the pause for this failure and those in a row before it. */
  pause(run: () => void): void {
    const { clock, initial, max } = this.#parts.settings;
    this.#endPause();
    const longest = Math.min(max, initial * 2 ** this.#failures);
    this.#failures += 1;
    // Never 0, so that nothing spins; half of it random, so that clients don't come back all at once.
    this.#cancelPause = clock.after((longest / 2) * (1 + clock.random()), () => {
      this.#cancelPause = undefined;
      run();
    });
  }

  /** Forgets the failures so far. */
  succeed(): void {
    this.#failures = 0;
    this.#endPause();
  }

  /** Gives up the probe under way or planned. */
  stop(): void {
    this.succeed();
    const asking = this.#asking;
    this.#asking = undefined;
    asking?.controller.abort();
  }

  async #ask(probe: Probe, controller: AbortController): Promise<void> {
    // Yields, so that `#asking` is set first.
    await undefined;
    const reached = await this.#answer(probe, controller);
    if (this.#asking?.controller !== controller) return;
    this.#asking = undefined;
    this.#parts.settled(reached);
  }

  /** Whether the server was reached. Does not wait for a probe that ignores its signal. */
  #answer(probe: Probe, controller: AbortController): Promise<boolean> {
    const { clock, probeTimeout } = this.#parts.settings;
    const { signal } = controller;
    return new Promise<boolean>((resolve) => {
      const cancel = clock.after(probeTimeout, () => controller.abort());
      const settle = (reached: boolean): void => {
        cancel();
        resolve(reached);
      };
      signal.addEventListener('abort', () => settle(false));
      void reaches(probe, signal).then(settle);
    });
  }

  #endPause(): void {
    this.#cancelPause?.();
    this.#cancelPause = undefined;
  }
}

async function reaches(probe: Probe, signal: AbortSignal): Promise<boolean> {
  try {
    return (await probe({ signal })) !== false;
  } catch {
    return false;
  }
}
