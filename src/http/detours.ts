import type { Clock } from '../contracts.js';

/** The most keys remembered, and the most characters of these. Beyond that the oldest are forgotten, which costs one wait each. */
const MOST = 10_000;
const MOST_TEXT = 4_000_000;

/** A load that takes longer does not keep its key busy: its caller may have gone without a trace. */
const LONGEST_LEAD = 30_000;

/**
 * Keys whose answers could not be shared lately, and the keys that are being loaded.
 *
 * Callers of an unshared key don't wait for each other: one leads, in case that has changed, and the others go to the
 * origin themselves.
 */
export class Detours {
  readonly #clock: Clock;
  readonly #rememberFor: number;
  readonly #marked = new Map<string, { readonly until: number; readonly why: string }>();
  #text = 0;
  readonly #led = new Map<string, { readonly since: number }>();

  constructor(clock: Clock, rememberFor: number) {
    this.#clock = clock;
    this.#rememberFor = rememberFor;
  }

  mark(key: string, why: string): void {
    if (this.#rememberFor === 0) return;
    this.unmark(key);
    this.#marked.set(key, { until: this.#clock.monotonic() + this.#rememberFor, why });
    this.#text += key.length;
    for (const oldest of this.#marked.keys()) {
      if (this.#marked.size <= MOST && this.#text <= MOST_TEXT) return;
      this.unmark(oldest);
    }
  }

  unmark(key: string): void {
    if (this.#marked.size > 0 && this.#marked.delete(key)) this.#text -= key.length;
  }

  /** Why the answers of `key` could not be shared; `undefined` if nothing is known against it. */
  why(key: string): string | undefined {
    const mark = this.#marked.get(key);
    if (mark === undefined || this.#clock.monotonic() < mark.until) return mark?.why;
    this.unmark(key);
    return undefined;
  }

  /** Notes that a load of `key` begins; the returned function notes its end. */
  lead(key: string): () => void {
    const lead = { since: this.#clock.monotonic() };
    this.#led.set(key, lead);
    return () => {
      if (this.#led.get(key) === lead) this.#led.delete(key);
    };
  }

  isLed(key: string): boolean {
    const lead = this.#led.get(key);
    return lead !== undefined && this.#clock.monotonic() - lead.since < LONGEST_LEAD;
  }
}
