import type { ConnectivitySettings, Probe } from './connectivity-options.js';
import type { SharedProbes } from './shared-probes.js';

/** The parts that a {@link Prober} works with. */
export interface ProberParts {
  readonly settings: ConnectivitySettings;
  /** Called with the outcome of each probe that was not given up. */
  readonly settled: (reached: boolean) => void;
  /** Called instead, if another tab is probing. */
  readonly elsewhere: () => void;
  /** The probes of all tabs; absent for a tab that probes for itself. */
  readonly shared: SharedProbes | undefined;
}

/** Probes the server: one probe at a time, and again after growing pauses while the server can't be reached. */
export class Prober {
  readonly #parts: ProberParts;
  /** The probe under way. */
  #asking: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;
  #paused: { readonly run: () => void; readonly cancel: () => void } | undefined;
  #failures = 0;

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** Whether a probe is under way. */
  get asking(): boolean {
    return this.#asking !== undefined;
  }

  /** Whether a probe is under way, or planned. */
  get busy(): boolean {
    return this.#asking !== undefined || this.#paused !== undefined;
  }

  /**
   * Probes now, unless a probe is under way. Resolves when its outcome was reported, or it was given up. Never rejects.
   *
   * `alone`: whether another tab is probing or not.
   */
  ask(probe: Probe, alone: boolean): Promise<void> {
    if (this.#asking !== undefined) return this.#asking.done;
    this.#endPause();
    const controller = new AbortController();
    const done = this.#ask(probe, controller, alone);
    this.#asking = { controller, done };
    return done;
  }

  /** Calls `run` after the pause for this failure and those in a row before it. */
  pause(run: () => void): void {
    const { clock, initial, max } = this.#parts.settings;
    const longest = Math.min(max, initial * 2 ** this.#failures);
    this.#failures += 1;
    // Never 0, so that nothing spins; half of it random, so that clients don't come back all at once.
    this.wait((longest / 2) * (1 + clock.random()), run);
  }

  /** Calls `run` in `ms` milliseconds, instead of what was planned. */
  wait(ms: number, run: () => void): void {
    this.#endPause();
    const cancel = this.#parts.settings.clock.after(ms, () => this.wake());
    this.#paused = { run, cancel };
  }

  /** Ends the pause: what was planned runs now. */
  wake(): void {
    const paused = this.#paused;
    this.#endPause();
    paused?.run();
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

  async #ask(probe: Probe, controller: AbortController, alone: boolean): Promise<void> {
    const { shared, settled, elsewhere } = this.#parts;
    // Yields, so that `#asking` is set first.
    await undefined;
    const answer = (): Promise<boolean> => this.#answer(probe, controller);
    const reached = await (alone || shared === undefined ? answer() : shared.run(answer));
    if (this.#asking?.controller !== controller) return;
    this.#asking = undefined;
    if (reached === undefined) return elsewhere();
    shared?.tell(reached);
    settled(reached);
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
      if (signal.aborted) return settle(false);
      signal.addEventListener('abort', () => settle(false));
      void reaches(probe, signal).then(settle);
    });
  }

  #endPause(): void {
    this.#paused?.cancel();
    this.#paused = undefined;
  }
}

async function reaches(probe: Probe, signal: AbortSignal): Promise<boolean> {
  try {
    return (await probe({ signal })) !== false;
  } catch {
    return false;
  }
}
