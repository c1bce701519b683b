import type { ConnectivitySettings, Probe } from './connectivity-options.js';

/** What a {@link Prober} works with. */
export interface ProberParts {
  readonly settings: ConnectivitySettings;
  /** Told how each probe went that was not given up. */
  readonly settled: (reached: boolean) => void;
}

/** Asks whether the server can be reached: one probe at a time, and again after growing pauses for as long as it can not. */
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

  /** Asks now, unless that is being done. Resolves when it is told how that went, or given up. Never rejects. */
  ask(probe: Probe): Promise<void> {
    if (this.#asking !== undefined) return this.#asking.done;
    this.#endPause();
    const controller = new AbortController();
    const done = this.#ask(probe, controller);
    this.#asking = { controller, done };
    return done;
  }

  /** Calls `run` after the pause that the failures in a row have earned, this one included. */
  pause(run: () => void): void {
    const { clock, initial, max } = this.#parts.settings;
    this.#endPause();
    const longest = Math.min(max, initial * 2 ** this.#failures);
    this.#failures += 1;
    // Never 0, so that nothing spins; half of it by chance, so that not all clients come back at once.
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

  /** Gives up what is under way or planned. */
  stop(): void {
    this.succeed();
    const asking = this.#asking;
    this.#asking = undefined;
    asking?.controller.abort();
  }

  async #ask(probe: Probe, controller: AbortController): Promise<void> {
    // Let `#asking` be set first.
    await undefined;
    const reached = await this.#answer(probe, controller);
    if (this.#asking?.controller !== controller) return;
    this.#asking = undefined;
    this.#parts.settled(reached);
  }

  /** Whether the server was reached. A probe that does not heed its signal is not waited for. */
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
