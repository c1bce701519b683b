import type { Events } from './events.js';
import { ignore } from './flight.js';
import type { DeferReason } from './options.js';

/** Work that nobody awaits: kept count of, and handed to whoever keeps the process going for it. */
export class Deferred {
  readonly #work = new Set<Promise<void>>();
  readonly #events: Events;
  readonly #defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;
  readonly #whole: Deferred | undefined;

  constructor(
    events: Events,
    defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined,
    whole?: Deferred,
  ) {
    this.#events = events;
    this.#defer = defer;
    this.#whole = whole;
  }

  /** A part of this: what it takes is waited for here too, but it waits for nothing else. */
  part(): Deferred {
    return new Deferred(this.#events, this.#defer, this);
  }

  get size(): number {
    return this.#work.size;
  }

  /** Takes `work`, whose failure is somebody else's to report. */
  add(work: Promise<unknown>, reason: DeferReason, waitUntil?: (work: Promise<unknown>) => void): void {
    const settled: Promise<void> = work.then(ignore, ignore);
    this.#track(settled);
    this.#hand('defer', () => this.#defer?.(settled, reason));
    this.#hand('waitUntil', () => waitUntil?.(settled));
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #track(settled: Promise<void>): void {
    this.#work.add(settled);
    void settled.then(() => this.#work.delete(settled));
    if (this.#whole !== undefined) this.#whole.#track(settled);
  }

  #hand(source: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#events.emit({ type: 'error', source, error });
    }
  }
}
