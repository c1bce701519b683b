import { nextTurn } from '../../base/clock.js';
import { TimerQueue } from '../timer-queue.js';

/** The heap of what is going to happen, and the time that has passed. All times are whole milliseconds. */
export class EventHeap {
  readonly #queue = new TimerQueue();
  #time = 0;
  #order = 0;

  /** Milliseconds since the world began. */
  get time(): number {
    return this.#time;
  }

  /** The next place in the order of all that happens. */
  order(): number {
    this.#order += 1;
    return this.#order;
  }

  /** Calls `run` in `ms` milliseconds; the returned function prevents that. */
  after(ms: number, run: () => void): () => void {
    const timer = this.#queue.add(this.#time + Math.max(0, Math.ceil(ms)), run);
    return () => this.#queue.cancel(timer);
  }

  /** Lets the next event happen, and tells whether there was one. */
  step(): boolean {
    const event = this.#queue.take(Infinity);
    if (event === undefined) return false;
    this.#time = event.due;
    event.run();
    return true;
  }
}

/**
 * Resolves when no microtask is left of what has happened.
 *
 * Two turns: what was scheduled for the end of the first one may come after us in it.
 */
export async function settled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
