import { systemClock } from '../base/clock.js';
import type { CacheEvent } from '../base/events.js';
import { Latency } from '../base/latency.js';
import { Causes } from './causes.js';
import type { Instrument } from './names.js';
import { INSTRUMENTS } from './names.js';
import { known, type Observed, type ObservedCache, type ObservedWrites } from './observed.js';
import type { Attributes, Samples } from './samples.js';
import { TierHealth } from './tier-health.js';

/** Writes whose acceptance is remembered until they are delivered. */
const MOST_WRITES = 10_000;
const REASONS = ['miss', 'revalidate', 'refresh'] as const;
const OUTCOMES = ['ok', 'error', 'timeout', 'aborted'] as const;
const KINDS = ['key', 'expire', 'tags', 'clear'] as const;

/** Counts what a source tells by events alone, from the moment it is attached. */
export class Recorder {
  readonly #counts = new Map<string, { instrument: Instrument; attributes: Attributes; value: number }>();
  readonly #latencies = new Map<string, { instrument: Instrument; attributes: Attributes; latency: Latency }>();
  readonly #health = new TierHealth();
  readonly #leave: (() => void)[] = [];
  /** What has changed keys. */
  readonly causes: Causes = new Causes();
  /** Monotonic instants at which writes were accepted, by their ids, oldest first. */
  readonly #accepted = new Map<string, number>();

  constructor(source: Observed) {
    const found = known(source);
    if (found.kind === 'cache') this.#attachCache(found.source);
    if (found.kind === 'writes') this.#attachWrites(found.source);
  }

  /** Adds what was counted to `samples`, under `attributes` as well. */
  report(samples: Samples, attributes: Attributes): void {
    for (const { instrument, attributes: own, value } of this.#counts.values())
      samples.add(instrument, { ...attributes, ...own }, value);
    for (const { instrument, attributes: own, latency } of this.#latencies.values())
      samples.addDurations(instrument, { ...attributes, ...own }, latency);
    for (const [tier, isUp] of this.#health.tiers)
      samples.add(INSTRUMENTS.storageAvailable, { ...attributes, tier }, isUp ? 1 : 0);
  }

  detach(): void {
    for (const leave of this.#leave.splice(0)) leave();
  }

  #attachCache(cache: ObservedCache): void {
    // A counter that appears with its first event would hide that event from `increase`.
    for (const reason of REASONS)
      for (const outcome of OUTCOMES) this.#count(INSTRUMENTS.loads, { reason, outcome }, 0);
    for (const kind of KINDS) this.#count(INSTRUMENTS.invalidations, { kind }, 0);
    const loaded = ({ reason, durationMs }: Extract<CacheEvent, { type: 'load' | 'load-error' }>): void =>
      this.#record(INSTRUMENTS.loadDuration, { reason }, durationMs);
    const changed = (kind: (typeof KINDS)[number]) => (): void => this.#count(INSTRUMENTS.invalidations, { kind }, 1);
    this.#leave.push(
      ...this.causes.attach(cache),
      cache.on('load', loaded),
      cache.on('load-error', loaded),
      cache.on('flight', (event) => {
        if (event.phase !== 'settle' || !event.loaded) return;
        const { reason, fallback } = event;
        const outcome = fallback && event.outcome === 'ok' ? 'error' : event.outcome;
        this.#count(INSTRUMENTS.loads, { reason, outcome }, 1);
      }),
      cache.on('storage', ({ tier, operation, outcome, durationMs }) => {
        this.#record(INSTRUMENTS.storageDuration, { tier, operation, outcome }, durationMs);
        this.#health.note(tier, outcome);
      }),
      cache.on('invalidate', changed('key')),
      cache.on('expire', changed('expire')),
      cache.on('tags', changed('tags')),
      cache.on('clear', changed('clear')),
    );
  }

  #attachWrites(writes: ObservedWrites): void {
    this.#count(INSTRUMENTS.writesDelivered, {}, 0);
    this.#count(INSTRUMENTS.deadLetters, {}, 0);
    this.#leave.push(
      writes.on('accept', ({ id }) => this.#accept(id)),
      writes.on('deliver', ({ id }) => {
        this.#count(INSTRUMENTS.writesDelivered, {}, 1);
        const since = this.#accepted.get(id);
        if (since !== undefined) this.#record(INSTRUMENTS.writesDelay, {}, systemClock.monotonic() - since);
        this.#accepted.delete(id);
      }),
      writes.on('conflict', ({ id, resolution }) => void (resolution === 'remote' && this.#accepted.delete(id))),
      writes.on('dead-letter', ({ id }) => {
        this.#accepted.delete(id);
        this.#count(INSTRUMENTS.deadLetters, {}, 1);
      }),
    );
  }

  #accept(id: string): void {
    if (this.#accepted.has(id)) return;
    this.#accepted.set(id, systemClock.monotonic());
    if (this.#accepted.size > MOST_WRITES) this.#accepted.delete(this.#accepted.keys().next().value ?? id);
  }

  #count(instrument: Instrument, attributes: Attributes, by: number): void {
    const id = instrument.name + JSON.stringify(attributes);
    const found = this.#counts.get(id);
    if (found === undefined) this.#counts.set(id, { instrument, attributes, value: by });
    else found.value += by;
  }

  #record(instrument: Instrument, attributes: Attributes, ms: number): void {
    const id = instrument.name + JSON.stringify(attributes);
    let found = this.#latencies.get(id);
    if (found === undefined) this.#latencies.set(id, (found = { instrument, attributes, latency: new Latency() }));
    found.latency.record(ms);
  }
}

const recorders = new WeakMap<object, Recorder>();

/** The recorder of `source`, attached now if it has none. */
export function recorderOf(source: Observed): Recorder {
  let recorder = recorders.get(source);
  if (recorder === undefined) recorders.set(source, (recorder = new Recorder(source)));
  return recorder;
}

/**
 * Begins to count what `source` tells by events: loads and their durations, operations of storage, invalidations, delivered
 * writes. The returned function ends that and forgets the counts.
 *
 * The first `prometheusText` of a source does it as well; what happened before is not in those figures then.
 *
 * @throws TypeError for what can't be observed.
 */
export function observe(source: Observed): () => void {
  const recorder = recorderOf(source);
  return () => {
    recorder.detach();
    if (recorders.get(source) === recorder) recorders.delete(source);
  };
}
