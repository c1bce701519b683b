/** Lets so many pieces of work go on at once; the others wait for their turn, first come, first served. */
export class Gate {
  readonly #most: number;
  #active = 0;
  readonly #waiting: (() => void)[] = [];
  /** Of `#waiting`, those that have had their turn. */
  #served = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs `work`, at once where there is room. It must not reject. */
  run(work: () => Promise<void>): Promise<void> {
    if (this.#active < this.#most) return this.#enter(work);
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#enter(work))));
  }

  async #enter(work: () => Promise<void>): Promise<void> {
    this.#active += 1;
    await work();
    this.#active -= 1;
    const next = this.#waiting[this.#served];
    if (next === undefined) return;
    this.#served += 1;
    if (this.#served === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#served = 0;
    }
    next();
  }
}
