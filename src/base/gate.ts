/** Work that has not had its turn. */
interface Waiting {
  readonly go: () => void;
  next: Waiting | undefined;
}

/** Lets so many pieces of work go on at once; the others wait for their turn, first come, first served. */
export class Gate {
  readonly #most: number;
  #active = 0;
  // A list of links: there may be work that waits for as long as the process lives, and what had its turn must go.
  #first: Waiting | undefined;
  #last: Waiting | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs `work`, at once where there is room. It must not reject. */
  run(work: () => Promise<void>): Promise<void> {
    if (this.#active < this.#most) return this.#enter(work);
    return new Promise((resolve) => {
      const waiting: Waiting = { go: () => resolve(this.#enter(work)), next: undefined };
      if (this.#last === undefined) this.#first = waiting;
      else this.#last.next = waiting;
      this.#last = waiting;
    });
  }

  async #enter(work: () => Promise<void>): Promise<void> {
    this.#active += 1;
    await work();
    this.#active -= 1;
    const next = this.#first;
    if (next === undefined) return;
    this.#first = next.next;
    if (this.#first === undefined) this.#last = undefined;
    next.go();
  }
}
