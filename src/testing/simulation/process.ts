import type { Clock } from '../../contracts.js';
import type { EventHeap } from './events.js';
import type { ChanceStream } from './streams.js';

/** Where the wall clocks of all processes begin, epoch milliseconds. */
export const EPOCH = 1_700_000_000_000;

/** Turns of the microtask queue between two of the things that a paused process finds when it wakes up. */
const TURNS_BETWEEN = 50;

/** One life of a process: from its start to its crash. Its clock is all it knows of time. */
export class Life implements Clock {
  readonly random: () => number;
  readonly #heap: EventHeap;
  /** What the wall clock is ahead of the world. Survives restarts. */
  readonly #wall: { ahead: number };
  #over = false;
  #pausedUntil = 0;
  /** What came due during a pause. */
  #held: { readonly timer: boolean; readonly run: () => void }[] = [];

  constructor(heap: EventHeap, wall: { ahead: number }, stream: ChanceStream) {
    this.#heap = heap;
    this.#wall = wall;
    this.random = () => stream.next();
  }

  get over(): boolean {
    return this.#over;
  }

  now(): number {
    return EPOCH + this.#heap.time + this.#wall.ahead;
  }

  monotonic(): number {
    return this.#heap.time;
  }

  after(ms: number, run: () => void): () => void {
    if (ms === Infinity) return () => {};
    let cancelled = false;
    const guarded = (): void => {
      if (!cancelled) run();
    };
    const cancel = this.#heap.after(ms, () => this.#happen(true, guarded));
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** Lets something arrive from outside in `ms` milliseconds, if this life still lasts. */
  arrive(ms: number, run: () => void): void {
    this.#heap.after(ms, () => this.#happen(false, run));
  }

  end(): void {
    this.#over = true;
    this.#held = [];
  }

  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#heap.time + ms);
    this.#heap.after(ms, () => void this.#wake());
  }

  #happen(timer: boolean, run: () => void): void {
    if (this.#over) return;
    if (this.#heap.time < this.#pausedUntil || this.#held.length > 0) this.#held.push({ timer, run });
    else run();
  }

  /** As a platform does it: first all timers that are due, then what has arrived, in one turn of the event loop. */
  async #wake(): Promise<void> {
    if (this.#heap.time < this.#pausedUntil) return;
    for (const timer of [true, false]) {
      for (const it of this.#held.filter((held) => held.timer === timer)) {
        if (this.#over) return;
        it.run();
        for (let turn = 0; turn < TURNS_BETWEEN; turn += 1) await undefined;
      }
    }
    this.#held = [];
  }
}
