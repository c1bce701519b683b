import type { Clock } from '../contracts.js';

/** Sequences per millisecond: 2^53 of them last until the year 2248. */
const PER_MILLISECOND = 1_024;

/**
 * Names and numbers for new writes.
 *
 * A sequence follows the wall clock, so that those of several processes interleave as they happened; but it never goes back,
 * even if that clock does.
 */
export class WriteIds {
  readonly #clock: Clock;
  #writer: string | undefined;
  #count = 0;
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The highest sequence so far. */
  get last(): number {
    return this.#last;
  }

  /** The sequence of the next write. */
  next(at: number): number {
    this.#count += 1;
    this.#last = Math.max(this.#last + 1, Math.floor(at) * PER_MILLISECOND);
    return this.#last;
  }

  /** The id of the write that {@link next} was last called for. */
  get id(): string {
    // Not at construction: at module scope, Workers have no randomness.
    this.#writer ??= newWriter(this.#clock);
    return `${this.#writer}-${this.#count}`;
  }

  /** Makes new sequences follow `sequence`. */
  follow(sequence: number): void {
    this.#last = Math.max(this.#last, sequence);
  }
}

/** When the write with this sequence was first accepted, epoch milliseconds. */
export function acceptedAt(sequence: number): number {
  return sequence / PER_MILLISECOND;
}

/** Unique even where a test fixes `random`: if two processes had the same ids, a sink would drop writes. */
export function newWriter(clock: Clock): string {
  const { crypto } = globalThis as { crypto?: { randomUUID?(): string } };
  if (typeof crypto?.randomUUID === 'function') return crypto.randomUUID();
  const part = (): string => Math.floor(clock.random() * 2 ** 52).toString(36);
  return `${part()}${part()}${Math.floor(clock.now()).toString(36)}`;
}
