/** A timer in a {@link TimerQueue}. */
export interface QueuedTimer {
  readonly due: number;
  /** Decides between timers due at the same instant. */
  readonly sequence: number;
  /** Made `undefined` by the queue when the timer is cancelled or taken. */
  run: (() => void) | undefined;
}

/** Cancelled timers that may stay before they are cleared away, beside one for each live timer. */
const SLACK = 64;

/** Timers in order of due time, equal ones in the order they were added: a binary heap. */
export class TimerQueue {
  /** Each timer is due no earlier than the one at half its position. Cancelled ones stay until they come up or are too many. */
  #heap: QueuedTimer[] = [];
  #size = 0;
  #sequence = 0;

  /** Number of timers, cancelled ones not counted. */
  get size(): number {
    return this.#size;
  }

  add(due: number, run: () => void): QueuedTimer {
    const timer: QueuedTimer = { due, sequence: this.#sequence, run };
    this.#sequence += 1;
    this.#size += 1;
    this.#heap.push(timer);
    this.#rise(this.#heap.length - 1);
    return timer;
  }

  cancel(timer: QueuedTimer): void {
    if (timer.run === undefined) return;
    timer.run = undefined;
    this.#size -= 1;
    if (this.#heap.length <= 2 * this.#size + SLACK) return;
    // A sorted array is a heap.
    this.#heap = this.#heap.filter(({ run }) => run !== undefined).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  /** Takes the first timer out if it is due by `end`. */
  take(end: number): { readonly due: number; readonly run: () => void } | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || (first.run !== undefined && first.due > end)) return undefined;
      this.#removeFirst();
      const { due, run } = first;
      if (run === undefined) continue;
      first.run = undefined;
      this.#size -= 1;
      return { due, run };
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(start: number): void {
    let place = start;
    while (place > 0) {
      const above = (place - 1) >>> 1;
      if (!this.#swapIfLater(above, place)) return;
      place = above;
    }
  }

  #sink(): void {
    for (let place = 0; ;) {
      const left = 2 * place + 1;
      const right = left + 1;
      const [a, b] = [this.#heap[left], this.#heap[right]];
      if (a === undefined) return;
      const below = b !== undefined && isBefore(b, a) ? right : left;
      if (!this.#swapIfLater(place, below)) return;
      place = below;
    }
  }

  #swapIfLater(above: number, below: number): boolean {
    const [upper, lower] = [this.#heap[above] as QueuedTimer, this.#heap[below] as QueuedTimer];
    if (!isBefore(lower, upper)) return false;
    this.#heap[above] = lower;
    this.#heap[below] = upper;
    return true;
  }
}

function isBefore(a: QueuedTimer, b: QueuedTimer): boolean {
  return a.due < b.due || (a.due === b.due && a.sequence < b.sequence);
}
