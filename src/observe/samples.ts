import type { Latency } from '../base/latency.js';
import type { Instrument } from './names.js';

export type Attributes = Readonly<Record<string, string>>;

/** Durations, counted by the buckets of {@link Latency}. */
export interface Durations {
  readonly buckets: number[];
  count: number;
  /** Milliseconds. */
  sum: number;
}

/** What one instrument says under one set of attributes. `durations` are those of a histogram. */
export interface Sample {
  readonly attributes: Attributes;
  value: number;
  readonly durations: Durations;
}

/** The figures of one reading, gathered by instrument. Equal attributes become one sample: a series must not appear twice. */
export class Samples {
  readonly #byInstrument = new Map<Instrument, Map<string, Sample>>();

  add(instrument: Instrument, attributes: Attributes, value: number): void {
    const { sample, isNew } = this.#sample(instrument, attributes);
    if (isNew) sample.value = value;
    else if (instrument.joins === undefined) sample.value += value;
    else sample.value = Math[instrument.joins](sample.value, value);
  }

  addDurations(instrument: Instrument, attributes: Attributes, latency: Latency): void {
    const { durations } = this.#sample(instrument, attributes).sample;
    for (let index = 0; index < latency.buckets.length; index += 1)
      durations.buckets[index] = (durations.buckets[index] ?? 0) + (latency.buckets[index] ?? 0);
    durations.count += latency.count;
    durations.sum += latency.sum;
  }

  [Symbol.iterator](): Iterator<readonly [Instrument, readonly Sample[]]> {
    return [...this.#byInstrument].map(([name, samples]) => [name, [...samples.values()]] as const).values();
  }

  #sample(instrument: Instrument, given: Attributes): { readonly sample: Sample; readonly isNew: boolean } {
    let samples = this.#byInstrument.get(instrument);
    if (samples === undefined) this.#byInstrument.set(instrument, (samples = new Map()));
    // Before they are compared: names that differ in their ends alone would become one series twice.
    const attributes = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, readable(value)]));
    const id = JSON.stringify(Object.entries(attributes));
    const sample = samples.get(id);
    if (sample !== undefined) return { sample, isNew: false };
    const made: Sample = { attributes, value: 0, durations: { buckets: [], count: 0, sum: 0 } };
    samples.set(id, made);
    return { sample: made, isNew: true };
  }
}

/** Longer values of attributes are cut. */
const LONGEST_VALUE = 128;
const HALF_CHARACTERS = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** Any string as the value of an attribute: one line, of bounded length, without half characters. */
export function readable(value: string): string {
  const cut = value.length > LONGEST_VALUE ? `${value.slice(0, LONGEST_VALUE - 1)}…` : value;
  return cut.replaceAll(HALF_CHARACTERS, '\uFFFD').replaceAll(/\p{Cc}/gu, '\uFFFD');
}
