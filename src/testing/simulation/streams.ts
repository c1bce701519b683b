/** A stream of chance: the same seed and name give the same numbers on every engine. */
export class ChanceStream {
  #state: number;

  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5 ^ seed;
    for (let index = 0; index < name.length; index += 1) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
    this.#state = hash >>> 0;
    // Neighbouring seeds begin alike; a few steps take them apart.
    for (let step = 0; step < 4; step += 1) this.next();
  }

  /** A number in [0, 1) (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** A whole number of a range, both ends included. */
  within([least, most]: readonly [least: number, most: number]): number {
    return least + this.below(most - least + 1);
  }

  /** Whether something of this probability happens. */
  happens(probability: number): boolean {
    return this.next() < probability;
  }
}

/** Makes a stream per name, so that one more draw of one part does not shift what the others draw. */
export class Streams {
  readonly #seed: number;
  readonly #streams = new Map<string, ChanceStream>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  of(name: string): ChanceStream {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const stream = new ChanceStream(this.#seed, name);
    this.#streams.set(name, stream);
    return stream;
  }
}
