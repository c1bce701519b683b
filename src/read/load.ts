import { parseDuration } from '../base/duration.js';
import type { Loaded, LoadContext, LoadReason, StaleValue } from '../contracts.js';
import { createEntry, isStorable, type HeldEntry } from '../entry.js';
import { misuse } from '../errors.js';
import type { Found } from '../ports.js';
import { covers } from './answering.js';
import { LOADED } from './loaded.js';
import { loadedEntry } from './new-entry.js';
import { MEMORY, type Outcome } from './outcome.js';
import type { CacheFlight, Journey, Reads } from './reads.js';
import { drop, storeBehind } from './write-back.js';

/**
 * One call to the upstream for `flight`: its entry goes into the tiers, its failure is covered by `found` where that may be.
 *
 * Where nothing has to be awaited first, the upstream is called in the leader's tick.
 */
export async function load<V>(
  reads: Reads<V>,
  flight: CacheFlight<V>,
  found: Found<V> | undefined,
): Promise<Outcome<V>> {
  const { clock, counters, events, rules } = reads;
  const { key, detail: journey } = flight;
  const { upstream, reason, lifetime } = journey.ask;
  // Everybody left, or time was up, while storage was being read: a load would be for nobody.
  if (flight.end !== undefined) throw flight.signal.reason;
  journey.fallback = found && usable(reads, found);
  const spared = reads.failures.any ? sparedBy(reads, flight) : undefined;
  if (spared !== undefined) return spared;
  if (upstream === undefined) throw misuse('upstream', UPSTREAM_CURE, upstream);
  if (journey.impatient !== undefined) announceFallback(journey);

  counters.loads += 1;
  if (events.heard && reason === 'miss') events.emit({ type: 'miss', key });
  const times = { startedAt: clock.now(), createdAt: 0, loadMs: 0, epoch: reads.marks.epoch };
  const since = (journey.loadSince = clock.monotonic());
  let told: Loaded<V> | undefined;
  let value: V | undefined;
  try {
    const result = await reads.flights.within(flight, () => upstream(key, new Context(reads, flight)));
    told = typeof result === 'object' && result !== null && LOADED in result ? (result as Loaded<V>) : undefined;
    value = told === undefined ? (result as V) : await valueIn(told, journey.fallback);
    value = rules.isolation.keep(value);
  } catch (error) {
    return failed(reads, flight, error);
  }

  const loadMs = clock.monotonic() - since;
  times.createdAt = clock.now();
  times.loadMs = Math.round(loadMs);
  // One that was given up has been told of as a failure.
  if (flight.end === undefined) {
    counters.latency.record(loadMs);
    if (events.heard) events.emit({ type: 'load', key, reason, durationMs: loadMs, absent: value === undefined });
  }
  // Where the lifetime is fixed and the value comes alone, nothing is left to resolve (D5).
  const fixed = told === undefined && value !== undefined && rules.jitter === 0 ? lifetime.fixed : undefined;
  const entry = fixed ? createEntry(value, fixed, times) : loadedEntry(reads, flight, { value, told, times });
  // The entry may carry a tag that was invalidated or expired during the load.
  const isCurrent = fixed !== undefined || reads.held.usable(entry) === entry;
  const store = told?.control.store !== false && (fixed?.lasts ?? isStorable(entry));
  const stored = isCurrent && writeBack(reads, flight, entry, store);
  journey.made = { entry, tier: 'upstream', status: 'miss', loaded: true, stored };
  if (stored && reads.storage !== undefined) await storeBehind(reads, flight, entry);
  return journey.made;
}

const UPSTREAM_CURE = 'set for a key that is not cached: pass `upstream` to the cache, or call `getOrLoad`';

/**
 * Puts a loaded entry into memory, unless its flight was fenced or has ended meanwhile, and returns whether the tiers are to
 * have it. `store`: whether it can be kept at all.
 */
export function writeBack<V>(reads: Reads<V>, flight: CacheFlight<V>, entry: HeldEntry<V>, store: boolean): boolean {
  const { flights, failures, held } = reads;
  const { key } = flight;
  // An invalidation, a `set`, a timeout or an abort came after the load had started: its result is too old to keep.
  if (flight.fenced || flight.end !== undefined) return false;
  if (flights.overlaps) flights.supersede(flight);
  if (failures.any) failures.forget(key);
  // The flight may still have to wait for storage. Who comes meanwhile looks into memory first.
  flights.rush = undefined;
  // Where the newer value can't be kept, the older one must not outlive it.
  if (store) held.hold(key, entry);
  else if (flight.detail.fallback !== undefined) drop(reads, key);
  return store;
}

/**
 * What a flight brings that reached its `maxDuration`. A hung load is a failed load: the stored value may still stand in. If
 * only the write to storage hangs, what was loaded counts.
 */
export function timedOut<V>(reads: Reads<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  return flight.detail.made ?? cover(reads, flight, error);
}

/** What a flight brings whose load failed. */
function failed<V>(reads: Reads<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  // Given up already, it fails for nobody.
  if (flight.end !== undefined) throw error;
  return cover(reads, flight, reads.scope === undefined ? error : reads.scope.reason(error));
}

/** What subscribers get when the load failed: the stored value while that is allowed, else the failure as it is. */
function cover<V>(reads: Reads<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = reads;
  if (journey.loadSince !== undefined) {
    counters.loadFailures += 1;
    if (events.wants('load-error')) {
      const durationMs = clock.monotonic() - journey.loadSince;
      events.emit({ type: 'load-error', key, reason: journey.ask.reason, durationMs, error });
    }
  }
  if (flight.fenced) {
    // The stored value was invalidated, or set, since. Only what is there now may stand in.
    const entry = reads.held.peek(key);
    journey.fallback = entry && { entry, tier: MEMORY };
  }
  if (journey.fallback !== undefined && !covers(reads, flight, journey.fallback.entry, error)) {
    journey.fallback = undefined;
    // Or the next failure, if that one is covered, would bring the value back.
    if (!flight.fenced) drop(reads, key);
  }
  if (!flight.fenced) noteFailure(reads, flight, error);
  return fallBack(reads, journey, error, true);
}

/** What stands in for a load that a failure a moment ago forbids, or throws that failure; `undefined` if the load may begin. */
function sparedBy<V>(reads: Reads<V>, flight: CacheFlight<V>): Outcome<V> | undefined {
  const { key, detail } = flight;
  const known = detail.ask.reason === 'refresh' ? undefined : reads.failures.active(key);
  // A failure that was covered is no reason not to try where nothing covers it any more.
  if (known === undefined) return undefined;
  const { fallback } = detail;
  if (fallback !== undefined && !covers(reads, flight, fallback.entry, known.error)) detail.fallback = undefined;
  if (known.covered && fallbackOf(reads, detail) === undefined) return undefined;
  return fallBack(reads, detail, known.error, false);
}

/** The stored value as the outcome, or throws `error` if none may stand in. `loaded`: whether the upstream was called. */
function fallBack<V>(reads: Reads<V>, journey: Journey<V>, error: unknown, loaded: boolean): Outcome<V> {
  const fallback = fallbackOf(reads, journey);
  if (fallback === undefined) throw error;
  const { entry, tier } = fallback;
  return { entry, tier, status: 'fallback', error, loaded, stored: true };
}

/** The stored value that may stand in for a load that fails now. */
function fallbackOf<V>(reads: Reads<V>, { fallback }: Journey<V>): Found<V> | undefined {
  return fallback === undefined || reads.clock.now() >= fallback.entry.errorUntil ? undefined : usable(reads, fallback);
}

/** `found` as its tags leave it by now. */
function usable<V>({ held }: Reads<V>, { entry, tier }: Found<V>): Found<V> | undefined {
  const now = held.usable(entry);
  return now && { entry: now, tier };
}

/** Forbids the next loads of the key for a while: by backoff where a fallback covers the failure, by `errorTtl` where none does. */
function noteFailure<V>(reads: Reads<V>, { key, detail }: CacheFlight<V>, error: unknown): void {
  if (fallbackOf(reads, detail) !== undefined) return reads.failures.backOff(key, error);
  const name = (error as { readonly name?: unknown } | null | undefined)?.name;
  if (name === 'AbortError' || name === 'TimeoutError' || name === 'FlightTimeoutError') return;
  const { errorTtl } = reads.rules;
  try {
    const ttl = typeof errorTtl === 'number' ? errorTtl : parseDuration('errorTtl', errorTtl(error));
    if (ttl > 0) reads.failures.remember(key, error, ttl);
  } catch (failure) {
    reads.events.emit({ type: 'error', source: 'errorTtl', key, error: failure });
  }
}

/** The value that the upstream means. `loaded(promise)` means what the promise brings. */
function valueIn<V>({ kind, value }: Loaded<V>, previous: Found<V> | undefined): V | undefined {
  if (kind === 'loaded') return value;
  if (previous !== undefined) return previous.entry.value;
  throw misuse('result of the upstream', 'a value: `notModified()` needs a previous one (`load.stale`)', undefined);
}

/** Answers the callers whose `softTimeout` ended before it was known whether there is a fallback. */
export function announceFallback<V>(journey: Journey<V>): void {
  const { impatient = [] } = journey;
  journey.impatient = undefined;
  for (const leave of impatient) leave();
}

/** The face of a load that its upstream sees. */
class Context<V> implements LoadContext<V> {
  readonly #reads: Reads<V>;
  readonly #flight: CacheFlight<V>;
  readonly #previous: Found<V> | undefined;

  constructor(reads: Reads<V>, flight: CacheFlight<V>) {
    this.#reads = reads;
    this.#flight = flight;
    this.#previous = flight.detail.fallback;
  }

  get key(): string {
    return this.#flight.key;
  }

  get reason(): LoadReason {
    return this.#flight.detail.ask.reason;
  }

  get signal(): AbortSignal {
    return this.#flight.signal;
  }

  /** See {@link gathering}. */
  get isOver(): boolean {
    return this.#flight.end !== undefined;
  }

  get stale(): StaleValue<V> | undefined {
    const entry = this.#previous?.entry;
    if (entry === undefined || entry.value === undefined) return undefined;
    const { give } = this.#reads.rules.isolation;
    return { value: give(entry.value), createdAt: entry.createdAt, meta: entry.meta };
  }

  get execute(): LoadContext<V>['execute'] {
    return (key, upstream) => this.#reads.nested(this.#flight, key, upstream);
  }
}
