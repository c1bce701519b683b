/**
 * Caches without a name that have one storage tier open. They share their entries: fine for several of the same kind, and wrong
 * for users and posts with the same ids.
 */
export class Nameless {
  #text = '';
  #open = 0;

  /**
   * Counts one more, until the returned function is called.
   *
   * Two of the same kind are told by the text of their upstream: a cache that is made anew for each request has another
   * function each time, with the same text.
   *
   * @throws TypeError for a cache that loads by other means than those that are open.
   */
  enter(tier: string, source: object | undefined): () => void {
    if (source === undefined) return () => {};
    const text = Function.prototype.toString.call(source);
    if (this.#open > 0 && text !== this.#text) throw new TypeError(refusalOf(tier));
    this.#text = text;
    this.#open += 1;
    return () => {
      this.#open -= 1;
    };
  }
}

function refusalOf(tier: string): string {
  return `Two caches with different upstreams use one storage ('${tier}') without a \`name\`: they would read each other's values. Give each a name, such as \`name: 'users'\``;
}
