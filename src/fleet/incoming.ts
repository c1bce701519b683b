import { ignore } from '../base/promises.js';
import type { BackplaneMessage, Clock } from '../contracts.js';

/** Sequence numbers of one origin. */
interface Origin {
  /** The number heard first. */
  readonly first: number;
  /** What it and those below it that have arrived since, which it had overtaken, said of the one before each. */
  readonly before: Map<number, number | undefined>;
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
/** How far clocks of processes may be apart at least, milliseconds. */
const LEAST_SKEW = 1_000;

/** Tells messages that are new from duplicates, and notices when some are missing. */
export class Incoming {
  readonly #clock: Clock;
  readonly #skew: number;
  readonly #onMissing: () => void;
  /** Oldest first: the origin heard last is the last one. */
  readonly #origins = new Map<string, Origin>();
  /** Origins whose first message may have followed one that was lost. */
  readonly #unsure = new Set<Origin>();
  #cancelUnsure: () => void = ignore;
  /** What was sent before this instant may have been missed: memory held nothing then, or is doubted anyway. */
  #since = Infinity;
  /** Whether origins were forgotten: one that is not known may have been heard before. */
  #hasForgotten = false;

  /** `onMissing` is called when a message has not come although later ones did. */
  constructor(clock: Clock, clockSkew: number, onMissing: () => void) {
    this.#clock = clock;
    this.#skew = Math.max(LEAST_SKEW, clockSkew);
    this.#onMissing = onMissing;
  }

  /** From now on all messages arrive, or are lost. */
  begin(): void {
    this.#since = this.#clock.now();
  }

  /** Whether `message` has not been seen before. */
  isNew({ origin, sequence, previous }: Pick<BackplaneMessage, 'origin' | 'sequence' | 'previous'>): boolean {
    const known = this.#origins.get(origin);
    const state = known ?? originAt(sequence);
    if (known !== undefined) this.#origins.delete(origin);
    this.#origins.set(origin, state);
    if (known === undefined) {
      this.#forgetOldest();
      state.before.set(sequence, previous);
      if (!this.#hasForgotten && this.#hasMissed(state)) this.#doubtSoon(state);
    }
    if (sequence < state.first) {
      if (state.before.has(sequence) || state.before.size > MOST_EARLY) return false;
      state.before.set(sequence, previous);
      return true;
    }
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
    this.#cancelUnsure();
    this.#unsure.clear();
    for (const { cancel } of this.#origins.values()) cancel?.();
    this.#origins.clear();
  }

  /** Whether a message was sent, since all arrive, before the first of those that have arrived without a gap. */
  #hasMissed({ first, before }: Origin): boolean {
    let lowest = first;
    while (before.has(lowest - 1)) lowest -= 1;
    return lowest > 1 && (before.get(lowest) ?? -Infinity) >= this.#since - this.#skew;
  }

  /** Gives the one before the first message of `state` some time to come on another way. */
  #doubtSoon(state: Origin): void {
    this.#unsure.add(state);
    if (this.#unsure.size > 1) return;
    this.#cancelUnsure = this.#clock.after(PATIENCE, () => {
      const unsure = [...this.#unsure];
      this.#unsure.clear();
      if (unsure.some((each) => this.#hasMissed(each))) this.#onMissing();
    });
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
    this.#hasForgotten = true;
    oldest[1].cancel?.();
    this.#origins.delete(oldest[0]);
  }
}

/** An origin whose first message has the number `first`. */
function originAt(first: number): Origin {
  return { first, before: new Map(), complete: first - 1, early: new Set(), cancel: undefined };
}
