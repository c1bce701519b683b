/** The most variants of one URL. Whoever sends made-up values of what it varies by would fill the cache with it. */
const MOST = 100;
/** The most characters of keys that are remembered. Beyond that the URLs used longest ago count anew. */
const MOST_TEXT = 4_000_000;

/** The variants of each URL that this process has asked for, the least recently used first. */
export class Variants {
  readonly #used = new Map<string, Set<string>>();
  #text = 0;

  /** Notes the use of `variant`. Returns the one that must go for it, if there is one. */
  use(key: string, variant: string): string | undefined {
    const used = this.#used.get(key) ?? new Set();
    this.#used.delete(key);
    this.#used.set(key, used);
    if (!used.delete(variant)) this.#text += variant.length;
    used.add(variant);
    const [oldest] = used;
    const surplus = used.size > MOST ? oldest : undefined;
    if (surplus !== undefined) this.#forget(used, surplus);
    for (const [first, theirs] of this.#used) {
      if (this.#text <= MOST_TEXT) break;
      for (const one of theirs) this.#forget(theirs, one);
      this.#used.delete(first);
    }
    return surplus;
  }

  #forget(used: Set<string>, variant: string): void {
    used.delete(variant);
    this.#text -= variant.length;
  }
}
