import type { Events } from '../base/events.js';
import { ignore } from '../base/promises.js';
import type { Clock } from '../contracts.js';

/** Why work was handed to `defer`. */
export type DeferReason = 'revalidate' | 'write-back' | 'load' | 'write';

/** What {@link Deferred} needs to know. */
export interface DeferredOptions {
  readonly clock: Clock;
  readonly defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;
  /** Milliseconds after which work counts as over, since whoever did it may be gone. `Infinity` where that can't be. */
  readonly longest: number;
}

/** Work that nobody awaits: kept count of, and handed to whoever keeps the process going for it. */
export class Deferred {
  /** When each counts as over, by the monotonic clock. The oldest comes first. */
  readonly #work = new Map<Promise<void>, number>();
  readonly #events: Events;
  readonly #options: DeferredOptions;
  readonly #whole: Deferred | undefined;

  constructor(events: Events, options: DeferredOptions, whole?: Deferred) {
    this.#events = events;
    this.#options = options;
    this.#whole = whole;
  }

  /** A child whose work counts for the parent's `idle()`, not the other way round. */
  part(): Deferred {
    return new Deferred(this.#events, this.#options, this);
  }

  get size(): number {
    this.#letGo();
    return this.#work.size;
  }

  /** Takes `work`, whose failure is somebody else's to report. */
  add(work: Promise<unknown>, reason: DeferReason, waitUntil?: (work: Promise<unknown>) => void): void {
    const { longest, clock } = this.#options;
    const settled: Promise<void> = work.then(ignore, ignore);
    this.#track(settled, longest === Infinity ? Infinity : clock.monotonic() + longest);
    this.hand(settled, reason, waitUntil);
  }

  /** Hands on `work`, which never rejects, without keeping count of it. */
  hand(work: Promise<void>, reason: DeferReason, waitUntil?: (work: Promise<unknown>) => void): void {
    this.#call('defer', () => this.#options.defer?.(work, reason));
    this.#call('waitUntil', () => waitUntil?.(work));
  }

  /**
   * Hands what a flight does to the request that leads it, which may end before: its client leaves, or has its answer.
   *
   * It is not counted as deferred work: such a flight has a claim, and that is what is waited for.
   */
  holdRequest(
    flight: { readonly claim: unknown; readonly promise: Promise<unknown> },
    reason: DeferReason,
    waitUntil?: (work: Promise<unknown>) => void,
  ): void {
    if (flight.claim !== undefined) this.hand(flight.promise.then(ignore, ignore), reason, waitUntil);
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.size > 0) await this.#settled();
  }

  #track(settled: Promise<void>, over: number): void {
    this.#letGo();
    this.#work.set(settled, over);
    void settled.then(() => this.#work.delete(settled));
    if (this.#whole !== undefined) this.#whole.#track(settled, over);
  }

  #settled(): Promise<unknown> {
    const { clock, longest } = this.#options;
    const all = Promise.all(this.#work.keys());
    if (longest === Infinity) return all;
    return new Promise((resolve) => {
      const cancel = clock.after(longest, () => resolve(undefined));
      void all.then(() => {
        cancel();
        resolve(undefined);
      });
    });
  }

  #letGo(): void {
    const { clock, longest } = this.#options;
    if (longest === Infinity || this.#work.size === 0) return;
    const now = clock.monotonic();
    for (const [work, over] of this.#work) {
      if (over > now) return;
      this.#work.delete(work);
    }
  }

  #call(source: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#events.emit({ type: 'error', source, error });
    }
  }
}
