import type { Clock } from '../contracts.js';

/** Sequence numbers of one origin. */
interface Origin {
  /** The number heard first. */
  readonly first: number;
  /** Those below it that have arrived since: it had overtaken them. */
  readonly overtaken: Set<number>;
  /** All numbers up to this one have arrived, or are not waited for any more. */
  complete: number;
  /** Those beyond it that have arrived. */
  readonly early: Set<number>;
  cancel: (() => void) | undefined;
}

const MOST_ORIGINS = 1_000;
/** How long a missing message may be on another way, milliseconds. */
const PATIENCE = 250;
/** So far ahead, nobody waits for the ones between. */
const MOST_EARLY = 1_000;

/** Tells messages that are new from duplicates, and notices when some are missing. */
export class Incoming {
  readonly #clock: Clock;
  readonly #onMissing: () => void;
  /** Oldest first: the origin heard last is the last one. */
  readonly #origins = new Map<string, Origin>();

  /** `onMissing` is called when a message has not come although later ones did. */
  constructor(clock: Clock, onMissing: () => void) {
    this.#clock = clock;
    this.#onMissing = onMissing;
  }

  /** Whether message `sequence` of `origin` has not been seen before. */
  isNew(origin: string, sequence: number): boolean {
    const known = this.#origins.get(origin);
    // What it sent before is not waited for: memory held nothing then, or is doubted anyway.
    const state = known ?? originAt(sequence);
    if (known !== undefined) this.#origins.delete(origin);
    this.#origins.set(origin, state);
    if (known === undefined) this.#forgetOldest();
    if (sequence < state.first) return isAdded(state.overtaken, sequence);
    if (sequence <= state.complete || state.early.has(sequence)) return false;

    state.early.add(sequence);
    while (state.early.delete(state.complete + 1)) state.complete += 1;
    if (state.early.size === 0) {
      state.cancel?.();
      state.cancel = undefined;
    } else if (state.early.size > MOST_EARLY) this.#giveUp(state);
    else state.cancel ??= this.#clock.after(PATIENCE, () => this.#giveUp(state));
    return true;
  }

  /** Waits for nothing any more. */
  rest(): void {
    for (const { cancel } of this.#origins.values()) cancel?.();
    this.#origins.clear();
  }

  #giveUp(state: Origin): void {
    state.cancel?.();
    state.cancel = undefined;
    state.complete = Math.max(state.complete, ...state.early);
    state.early.clear();
    this.#onMissing();
  }

  #forgetOldest(): void {
    if (this.#origins.size <= MOST_ORIGINS) return;
    const [oldest] = this.#origins;
    if (oldest === undefined) return;
    oldest[1].cancel?.();
    this.#origins.delete(oldest[0]);
  }
}

/** An origin whose first message has the number `first`. */
function originAt(first: number): Origin {
  return { first, overtaken: new Set(), complete: first - 1, early: new Set(), cancel: undefined };
}

/** Adds `number` unless it is there already, or there are too many, and tells whether it did. */
function isAdded(numbers: Set<number>, number: number): boolean {
  return numbers.size < MOST_EARLY && numbers.size < numbers.add(number).size;
}
