import type { Clock } from '../contracts.js';
import { systemClock } from './clock.js';

/** So long that it never fires while anybody waits, and not longer than platforms' timers take. */
const LONGEST_TIMER = 2_147_483_647;

// Those of the platform, also under a test runner's fake timers, which would fire it.
const { setTimeout, clearTimeout } = globalThis as unknown as {
  readonly setTimeout: (run: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: unknown) => void;
};

/**
 * Keeps the process alive while somebody waits: the timers of a `Clock` never do.
 *
 * Does nothing for other clocks than the system's, and where timers are numbers: browsers and Workers don't end by
 * themselves, and there a timer would only keep a page, or an object, from going to sleep.
 */
export class KeepAlive {
  readonly #isReal: boolean;
  #waits = 0;
  #timer: unknown;

  constructor(clock: Clock) {
    this.#isReal = clock === systemClock;
  }

  /** Must be followed by {@link release}. */
  hold(): void {
    this.#waits += 1;
    if (this.#waits > 1 || !this.#isReal || isWorker()) return;
    const timer = setTimeout(() => {}, LONGEST_TIMER);
    if (typeof timer === 'object') this.#timer = timer;
    else clearTimeout(timer);
  }

  release(): void {
    this.#waits -= 1;
    if (this.#waits > 0 || this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Holds until `work` has settled. */
  during<T>(work: Promise<T>): Promise<T> {
    this.hold();
    const release = (): void => this.release();
    // Also marks a rejection as seen.
    work.then(release, release);
    return work;
  }
}

function isWorker(): boolean {
  return (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent === 'Cloudflare-Workers';
}
