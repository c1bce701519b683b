import { parseDuration } from '../base/duration.js';
import { isThenable } from '../base/promises.js';
import type { Loaded, LoadContext, LoadReason, StaleValue, Upstream } from '../contracts.js';
import { misuse } from '../errors.js';
import type { Found } from '../ports.js';
import { isLoaded } from './loaded.js';
import { loadedEntry } from './new-entry.js';
import type { Outcome } from './outcome.js';
import type { CacheFlight, Journey, Reads } from './reads.js';
import { storeBehind, writeBack } from './write-back.js';

/**
 * One call to the upstream for `flight`: its entry goes into the tiers, its failure is covered by `found` where that may be.
 *
 * Called in the tick of the leader where nothing has to be waited for before.
 */
export async function load<V>(
  reads: Reads<V>,
  flight: CacheFlight<V>,
  found: Found<V> | undefined,
): Promise<Outcome<V>> {
  const { key, detail: journey } = flight;
  const { clock, counters, events, marks } = reads;
  // Everybody left, or time was up, while storage was being read: a load would be for nobody.
  if (flight.end !== undefined) throw flight.signal.reason;
  journey.fallback = usable(reads, found);
  const known = journey.ask.reason === 'refresh' ? undefined : reads.failures.active(key);
  // A failure that was covered is no reason not to try where nothing covers it any more.
  if (known !== undefined && (!known.covered || fallbackOf(reads, journey) !== undefined))
    return fallBack(reads, journey, known.error, false);

  const upstream = upstreamOf(journey);
  counters.loads += 1;
  if (journey.ask.reason === 'miss' && events.wants('miss')) events.emit({ type: 'miss', key });
  const startedAt = clock.now();
  const { epoch } = marks;
  const since = (journey.loadSince = clock.monotonic());
  announceFallback(journey);
  let result: V | Loaded<V>;
  let value: V | undefined;
  try {
    result = await reads.flights.within(flight, () => upstream(key, new Context(reads, flight)));
    const told = valueIn(result, journey.fallback);
    // `loaded(promise)` means what the promise brings.
    value = reads.rules.isolation.keep(isThenable(told) ? await told : told);
  } catch (error) {
    // Given up already, it fails for nobody.
    if (flight.end !== undefined) throw error;
    return cover(reads, flight, reads.scope === undefined ? error : reads.scope.reason(error));
  }

  const loadMs = clock.monotonic() - since;
  if (flight.end === undefined) counters.latency.record(loadMs);
  if (events.wants('load')) events.emit({ type: 'load', key, reason: journey.ask.reason, durationMs: loadMs });
  const times = { startedAt, createdAt: clock.now(), loadMs: Math.round(loadMs), epoch };
  const entry = loadedEntry(reads, flight, { value, result, times });
  const stored = writeBack(reads, flight, entry, !isLoaded(result) || result.control.store !== false);
  const outcome: Outcome<V> = { entry, tier: 'upstream', status: 'miss', loaded: true, stored };
  journey.made = outcome;
  const storing = stored ? storeBehind(reads, flight, entry) : undefined;
  if (storing !== undefined) await storing;
  return outcome;
}

/** What a flight brings that reached its `maxDuration`. A hung load is a failed load: the stored value may still stand in. */
export function timedOut<V>(reads: Reads<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  return flight.detail.made ?? cover(reads, flight, error);
}

/** What subscribers get when the load failed: the stored value while that is allowed, else the failure as it is. */
function cover<V>(reads: Reads<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = reads;
  if (journey.loadSince !== undefined) counters.loadFailures += 1;
  if (events.wants('load-error')) {
    const durationMs = clock.monotonic() - (journey.loadSince ?? flight.since);
    events.emit({ type: 'load-error', key, reason: journey.ask.reason, durationMs, error });
  }
  if (!flight.fenced) noteFailure(reads, flight, error);
  return fallBack(reads, journey, error, true);
}

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
function usable<V>(reads: Reads<V>, found: Found<V> | undefined): Found<V> | undefined {
  const entry = found === undefined ? undefined : reads.held.usable(found.entry);
  return found === undefined || entry === undefined ? undefined : { entry, tier: found.tier };
}

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

function upstreamOf<V>({ ask }: Journey<V>): Upstream<V> {
  if (ask.upstream !== undefined) return ask.upstream;
  const cure = 'set for a key that is not cached: pass `upstream` to the cache, or call `getOrLoad`';
  throw misuse('upstream', cure, undefined);
}

function valueIn<V>(result: V | Loaded<V>, previous: Found<V> | undefined): V | undefined {
  if (!isLoaded(result)) return result;
  if (result.kind === 'loaded') return result.value;
  if (previous !== undefined) return previous.entry.value;
  throw misuse('result of the upstream', 'a value: `notModified()` needs a previous one (`load.stale`)', undefined);
}

/** Lets those go who were only waiting for something to answer with. */
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
