/** The tokens kept at most. A forgotten one is read again. */
const MOST_KNOWN = 50_000;

interface Known {
  readonly token: string;
  readonly number: number;
}

/** The tokens of markers in one storage tier, as far as this process knows them, and in which order it got to know them. */
export class KnownTokens {
  readonly #tokens = new Map<string, Known>();
  readonly #underWay = new Map<string, Promise<void>>();
  /** Number of the token that was learned last. */
  last: number = 0;

  /** Notes that the marker has `token` now, or that there is none. */
  note(marker: string, token: string | undefined): void {
    const known = this.#tokens.get(marker);
    if (known !== undefined && known.token === token) return;
    this.#tokens.delete(marker);
    if (token === undefined) return;
    this.last += 1;
    this.#tokens.set(marker, { token, number: this.last });
    if (this.#tokens.size > MOST_KNOWN) this.#tokens.delete(this.#tokens.keys().next().value!);
  }

  /** Does `work` for `marker`, or waits where others do. It must not reject. */
  once(marker: string, work: () => Promise<void>): Promise<void> {
    const current = this.#underWay.get(marker);
    if (current !== undefined) return current;
    const begun = work().finally(() => this.#underWay.delete(marker));
    this.#underWay.set(marker, begun);
    return begun;
  }

  /** The token of `marker`, if it was known already when `since` was the number of the last one. */
  get(marker: string, since: number): string | undefined {
    const known = this.#tokens.get(marker);
    return known === undefined || known.number > since ? undefined : known.token;
  }
}
