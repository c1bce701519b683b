/** How long loads took, in milliseconds. Percentiles are accurate to about 5 % up to 17 minutes. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Buckets per doubling. With 2^3 they are those of OpenTelemetry's scale 3 and of Prometheus' schema 3. */
export const PER_DOUBLING = 8;
/** The first bucket holds what took up to 2^-13 s (0.12 ms). */
export const LOWEST = -13;
/** What took longer than 2^10 s (17 minutes) is in the last one. */
const HIGHEST = 10;
const LAST = (HIGHEST - LOWEST) * PER_DOUBLING + 1;

/**
 * A histogram of durations with buckets of equal ratio: constant memory, no matter how many durations.
 *
 * Bucket i ends at 2^(i / 8 - 13) seconds, that instant included.
 */
export class Latency {
  #buckets: Uint32Array | undefined;
  #count = 0;
  #sum = 0;
  #max = 0;

  record(ms: number): void {
    const buckets = (this.#buckets ??= new Uint32Array(LAST + 1));
    // A clock that went back gives a negative duration, which has no logarithm.
    const index = Math.ceil((Math.log2(ms / 1_000) - LOWEST) * PER_DOUBLING) || 0;
    buckets[Math.max(0, Math.min(LAST, index))]! += 1;
    this.#count += 1;
    this.#sum += ms;
    if (ms > this.#max) this.#max = ms;
  }

  get count(): number {
    return this.#count;
  }

  /** Of all durations, milliseconds. */
  get sum(): number {
    return this.#sum;
  }

  /** Durations per bucket so far; empty before the first one. */
  get buckets(): ArrayLike<number> {
    return this.#buckets ?? [];
  }

  summary(): LatencySummary {
    const count = this.#count;
    return {
      count,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: this.#percentile(0.5),
      p95: this.#percentile(0.95),
      p99: this.#percentile(0.99),
      max: this.#max,
    };
  }

  #percentile(share: number): number {
    const rank = Math.ceil(this.#count * share);
    let seen = 0;
    for (const [index, count] of (this.#buckets ?? []).entries()) {
      seen += count;
      if (seen < rank || count === 0) continue;
      // The last bucket has no end, so nothing but the longest duration is known of it.
      if (index === LAST) break;
      // The middle of the bucket, by ratio, is off by at most half a step either way.
      return Math.min(this.#max, 1_000 * 2 ** ((index === 0 ? 0 : index - 0.5) / PER_DOUBLING + LOWEST));
    }
    return this.#max;
  }
}
