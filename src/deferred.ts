import type { Events } from './events.js';
import { ignore } from './flight.js';
import type { DeferReason } from './options.js';

/** Work that nobody awaits: kept count of, and handed to whoever keeps the process going for it. */
export class Deferred {
  readonly #work = new Set<Promise<void>>();
  readonly #events: Events;
  readonly #defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined;

  constructor(events: Events, defer: ((work: Promise<void>, reason: DeferReason) => void) | undefined) {
    this.#events = events;
    this.#defer = defer;
  }

  get size(): number {
    return this.#work.size;
  }

  /** Takes `work`, whose failure is somebody else's to report. */
  add(work: Promise<unknown>, reason: DeferReason, waitUntil?: (work: Promise<unknown>) => void): void {
    const settled: Promise<void> = work.then(ignore, ignore);
    this.#work.add(settled);
    void settled.then(() => this.#work.delete(settled));
    this.#hand('defer', () => this.#defer?.(settled, reason));
    this.#hand('waitUntil', () => waitUntil?.(settled));
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #hand(source: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#events.emit({ type: 'error', source, error });
    }
  }
}
