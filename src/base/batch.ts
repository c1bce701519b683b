/** One member of a batch, waiting for its result. */
interface Member<I, O> {
  readonly item: I;
  readonly resolve: (result: O | PromiseLike<O>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gathers what is asked for in one turn of the microtask queue and asks for it together.
 *
 * `run` gets the items in the order they were added and answers in that order; a member gets the result at its own
 * place, or the failure of all, whatever happens to the other members.
 */
export class Batch<I, O> {
  readonly #run: (items: readonly I[]) => Promise<readonly (O | PromiseLike<O>)[]>;
  #members: Member<I, O>[] = [];

  constructor(run: (items: readonly I[]) => Promise<readonly (O | PromiseLike<O>)[]>) {
    this.#run = run;
  }

  add(item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#members.push({ item, resolve, reject });
      if (this.#members.length === 1) void Promise.resolve().then(() => this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const members = this.#members;
    this.#members = [];
    try {
      const results = await this.#run(members.map(({ item }) => item));
      for (const [index, { resolve }] of members.entries()) resolve(results[index] as O);
    } catch (error) {
      for (const { reject } of members) reject(error);
    }
  }
}
