import { atEndOfTurn, soon } from './turn.js';

/** One member of a batch, waiting for its result. */
interface Member<I, O> {
  readonly item: I;
  readonly resolve: (result: O | PromiseLike<O>) => void;
  readonly reject: (reason: unknown) => void;
}

/** When a batch is full, and when it goes. */
export interface BatchLimits {
  /** Items of one batch at most. One that is full waits no longer. @default Infinity */
  readonly max?: number;
  /** Calls its argument when the batch is to go. @default at the end of the turn of the event loop */
  readonly later?: (run: () => void) => void;
}

/**
 * Gathers what is asked for in one turn of the event loop and asks for it together.
 *
 * `run` gets the items in the order they were added and answers in that order; a member gets the result at its own
 * place, or the failure of all, whatever happens to the other members.
 */
export class Batch<I, O> {
  readonly #run: (items: readonly I[]) => Promise<readonly (O | PromiseLike<O>)[]>;
  readonly #max: number;
  readonly #later: (run: () => void) => void;
  #members: Member<I, O>[] = [];

  constructor(
    run: (items: readonly I[]) => Promise<readonly (O | PromiseLike<O>)[]>,
    { max = Infinity, later = atEndOfTurn }: BatchLimits = {},
  ) {
    this.#run = run;
    this.#max = max;
    this.#later = later;
  }

  add(item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const members = this.#members;
      members.push({ item, resolve, reject });
      if (members.length >= this.#max) {
        this.#members = [];
        // Not inside the call that filled it.
        soon(() => void this.#send(members));
      } else if (members.length === 1) {
        this.#later(() => {
          // It may have gone because it was full.
          if (members !== this.#members) return;
          this.#members = [];
          void this.#send(members);
        });
      }
    });
  }

  async #send(members: readonly Member<I, O>[]): Promise<void> {
    try {
      const results = await this.#run(members.map(({ item }) => item));
      for (const [index, { resolve }] of members.entries()) resolve(results[index] as O);
    } catch (error) {
      for (const { reject } of members) reject(error);
    }
  }
}
