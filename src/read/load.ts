import {
  isThenable,
  type LoadContext,
  type Loaded,
  type LoadControl,
  type LoadReason,
  type MaybePromise,
  type StaleValue,
} from '../contracts.js';
import { parseDuration } from '../base/duration.js';
import { createEntry, type HeldEntry, type Origin, type Windows } from '../entry.js';
import { misuse } from '../errors.js';
import { usable } from './held.js';
import { NO_WINDOWS, tagsOf, windowsOf } from './lifetime.js';
import { isLoaded } from './loaded.js';
import { plainReason } from '../requests/plain-data.js';
import { land, type CacheFlight, type Stages, type Tiered } from './stages.js';
import { storeBehind, writeBack } from './write-back.js';

type Times = Pick<Origin, 'startedAt' | 'createdAt' | 'loadMs' | 'epoch'>;

/** One call to the upstream for `flight`: its entry goes into the tiers, its failure is covered by `found` where that may be. */
export function load<V>(stages: Stages<V>, flight: CacheFlight<V>, found: Tiered<V> | undefined): Promise<V> {
  let result: Promise<V | Loaded<V>>;
  try {
    result = Promise.resolve(call(stages, flight, found));
  } catch (error) {
    result = Promise.reject(error);
  }
  return result.then(
    (value) => arrived(stages, flight, value),
    (error: unknown) => failed(stages, flight, error),
  );
}

/** Ends `flight`, which is nothing but its load, with what the upstream answered. */
export function endWith<V>(stages: Stages<V>, flight: CacheFlight<V>, result: V | Loaded<V>): void {
  const { flights } = stages;
  let value: V;
  try {
    const made = arrived(stages, flight, result);
    if (isThenable(made)) {
      Promise.resolve(made).then(
        (settled) => flights.succeed(flight, settled),
        (error: unknown) => flights.fail(flight, error),
      );
      return;
    }
    value = made;
  } catch (error) {
    return flights.fail(flight, error);
  }
  flights.succeed(flight, value);
}

/** Ends `flight`, which is nothing but its load, when that failed. */
export function endWithout<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): void {
  let value: V;
  try {
    value = failed(stages, flight, error);
  } catch (failure) {
    return stages.flights.fail(flight, failure);
  }
  stages.flights.succeed(flight, value);
}

/**
 * The first half of a load, up to the upstream's answer; {@link arrived} or {@link failed} is the second.
 *
 * None of them is `async`: a load waits once, and what an `async` function keeps meanwhile is half as large as a flight.
 */
export function call<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  found: Tiered<V> | undefined,
): MaybePromise<V | Loaded<V>> {
  const { key, detail: journey } = flight;
  const { clock, events } = stages;
  // Everybody left, or time was up, while storage was being read: a load would be for nobody.
  if (flight.outcome !== undefined) throw flight.signal.reason;
  journey.fallback = current(stages, found);
  const known = journey.reason === 'refresh' ? undefined : stages.failures.active(key);
  // A failure that was covered is no reason not to try where nothing covers it any more.
  if (known !== undefined && (!known.covered || fallbackOf(stages, flight) !== undefined))
    return fallBack(stages, flight, known.error, false);

  const { upstream } = journey.ask;
  if (upstream === undefined)
    throw misuse(
      'upstream',
      'set for a key that is not cached: pass `upstream` to the cache, or call `getOrLoad`',
      upstream,
    );
  if (journey.reason === 'miss' && events.wants('miss')) events.emit({ type: 'miss', key });
  stages.counters.loads += 1;
  journey.startedAt = clock.now();
  journey.loadEpoch = stages.marks.epoch;
  journey.loadSince = clock.monotonic();
  announceFallback(journey);
  return stages.flights.within(flight, () => upstream(key, new Context(stages, flight)));
}

/** What `flight` brings of `result`, the answer of {@link call}. */
function arrived<V>(stages: Stages<V>, flight: CacheFlight<V>, result: V | Loaded<V>): MaybePromise<V> {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = stages;
  const { fallback: previous, loadSince } = journey;
  if (loadSince === undefined) return result as V; // The upstream was not called: this is what stands in for it.
  const told = isLoaded(result) ? result : undefined;
  let value: V | undefined;
  try {
    if (told?.kind === 'not-modified' && previous === undefined) throw nothingToRenew();
    value = stages.settings.isolation.keep(told === undefined ? (result as V) : toldValue(told, previous));
  } catch (error) {
    return failed(stages, flight, error);
  }

  const loadMs = clock.monotonic() - loadSince;
  if (flight.outcome === undefined) counters.latency.record(loadMs);
  if (events.wants('load')) events.emit({ type: 'load', key, reason: journey.reason, durationMs: loadMs });
  const { startedAt, loadEpoch: epoch } = journey;
  const times = { startedAt, createdAt: clock.now(), loadMs: Math.round(loadMs), epoch };
  const entry =
    told === undefined ? plainEntry(stages, flight, value, times) : toldEntry(stages, flight, value, told, times);
  const stored = writeBack(stages, flight, entry, previous, told?.control.store !== false);
  const answer = land(flight, { entry, tier: 'upstream', status: 'miss', loaded: true, stored });
  const storing = stored ? storeBehind(stages, flight, entry, previous) : undefined;
  return storing === undefined ? answer : storing.then(() => answer);
}

/** What `flight` brings although its load failed, if anything does. */
function failed<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): V {
  // Given up already, it fails for nobody; and where the upstream was not called, no load has failed.
  if (flight.outcome !== undefined || flight.detail.loadSince === undefined) throw error;
  return cover(stages, flight, flight.lease === undefined ? error : plainReason(error));
}

/** Ends `flight` at its `maxDuration`. A hung load is a failed load: the stored value may still stand in. */
export function timedOut<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): V {
  const { outcome } = flight.detail;
  return outcome === undefined ? cover(stages, flight, error) : (outcome.entry.value as V);
}

/** What subscribers get when the load failed: the stored value while that is allowed, else the failure as it is. */
function cover<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): V {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = stages;
  if (journey.loadSince !== undefined) counters.loadFailures += 1;
  if (events.wants('load-error')) {
    events.emit({
      type: 'load-error',
      key,
      reason: journey.reason,
      durationMs: clock.monotonic() - (journey.loadSince ?? flight.since),
      error,
    });
  }
  if (!flight.fenced) noteFailure(stages, flight, error);
  return fallBack(stages, flight, error, true);
}

function fallBack<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown, loaded: boolean): V {
  const fallback = fallbackOf(stages, flight);
  if (fallback === undefined) throw error;
  return land(flight, { ...fallback, status: 'fallback', error, loaded, stored: true });
}

/** The stored value that may stand in for a load that fails now. */
function fallbackOf<V>(stages: Stages<V>, { detail }: CacheFlight<V>): Tiered<V> | undefined {
  const { fallback } = detail;
  return fallback === undefined || stages.clock.now() >= fallback.entry.errorUntil
    ? undefined
    : current(stages, fallback);
}

/** `found` as its tags leave it by now. */
function current<V>(stages: Stages<V>, found: Tiered<V> | undefined): Tiered<V> | undefined {
  const entry = found === undefined ? undefined : usable(stages, found.entry);
  return found === undefined || entry === undefined ? undefined : { entry, tier: found.tier };
}

function noteFailure<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): void {
  const { key } = flight;
  if (fallbackOf(stages, flight) !== undefined) {
    stages.failures.backOff(key, error);
    return;
  }
  if (isAbortOrTimeout(error)) return;
  const ttl = errorTtlOf(stages, key, error);
  if (ttl > 0) stages.failures.remember(key, error, ttl);
}

function errorTtlOf<V>(stages: Stages<V>, key: string, error: unknown): number {
  const { errorTtl } = stages.settings;
  if (typeof errorTtl === 'number') return errorTtl;
  try {
    return parseDuration('errorTtl', errorTtl(error));
  } catch (failure) {
    stages.events.emit({ type: 'error', source: 'errorTtl', key, error: failure });
    return 0;
  }
}

function isAbortOrTimeout(error: unknown): boolean {
  const name = (error as { readonly name?: unknown } | null | undefined)?.name;
  return name === 'AbortError' || name === 'TimeoutError' || name === 'FlightTimeoutError';
}

function toldValue<V>({ kind, value }: Loaded<V>, previous: Tiered<V> | undefined): V | undefined {
  return kind === 'not-modified' ? previous?.entry.value : value;
}

function plainEntry<V>(stages: Stages<V>, flight: CacheFlight<V>, value: V | undefined, times: Times): HeldEntry<V> {
  const { lifetime } = flight.detail.ask;
  if (lifetime.tags === undefined) return createEntry(value, windowsFor(stages, flight, value), times);
  const tags = tagsFor(stages, flight, value);
  return createEntry(value, tags === undefined ? NO_WINDOWS : windowsFor(stages, flight, value), { ...times, tags });
}

/** The entry of a value with a control: that comes first, then the previous entry if it is renewed, then the options. */
function toldEntry<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  value: V | undefined,
  result: Loaded<V>,
  times: Times,
): HeldEntry<V> {
  const { fallback } = flight.detail;
  const { control, kind } = result;
  const renewed = kind === 'not-modified' ? fallback?.entry : undefined;
  const tags = (control.tags && [...control.tags]) ?? renewed?.tags ?? tagsFor(stages, flight, value);
  return createEntry(value, tags === undefined ? NO_WINDOWS : windowsFor(stages, flight, value, control), {
    ...times,
    tags,
    meta: control.meta ?? renewed?.meta,
  });
}

function windowsFor<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  value: V | undefined,
  control?: LoadControl,
): Windows {
  const { key, detail } = flight;
  const { absentTtl, jitter } = stages.settings;
  const { clock } = stages;
  try {
    return windowsOf(detail.ask.lifetime, value, { key, control, absentTtl, jitter, clock });
  } catch (error) {
    // The value is good; only how long it lives is not known. So it is handed out and not kept.
    stages.events.emit({ type: 'error', source: 'ttl', key, error });
    return NO_WINDOWS;
  }
}

/** The tags of a loaded value; `undefined` where they can't be told: it could not be invalidated, and is not kept. */
function tagsFor<V>(stages: Stages<V>, flight: CacheFlight<V>, value: V | undefined): readonly string[] | undefined {
  try {
    return tagsOf(flight.detail.ask.lifetime, value, flight.key);
  } catch (error) {
    stages.events.emit({ type: 'error', source: 'tags', key: flight.key, error });
    return undefined;
  }
}

/** The face of a load that its upstream sees. */
class Context<V> implements LoadContext<V> {
  readonly #stages: Stages<V>;
  readonly #flight: CacheFlight<V>;
  readonly #previous: Tiered<V> | undefined;

  constructor(stages: Stages<V>, flight: CacheFlight<V>) {
    this.#stages = stages;
    this.#flight = flight;
    this.#previous = flight.detail.fallback;
  }

  get key(): string {
    return this.#flight.key;
  }

  get reason(): LoadReason {
    return this.#flight.detail.reason;
  }

  get signal(): AbortSignal {
    return this.#flight.signal;
  }

  get stale(): StaleValue<V> | undefined {
    const entry = this.#previous?.entry;
    if (entry === undefined || entry.value === undefined) return undefined;
    const { give } = this.#stages.settings.isolation;
    return { value: give(entry.value), createdAt: entry.createdAt, meta: entry.meta };
  }

  get execute(): LoadContext<V>['execute'] {
    return (key, upstream) => this.#stages.nested(this.#flight, key, upstream);
  }
}

function nothingToRenew(): TypeError {
  return misuse('result of the upstream', 'a value: `notModified()` needs a previous one (`load.stale`)', undefined);
}

/** Lets those go who were only waiting for something to answer with. */
export function announceFallback<V>(journey: CacheFlight<V>['detail']): void {
  const { impatient } = journey;
  if (impatient === undefined) return;
  journey.impatient = undefined;
  for (const leave of impatient) leave();
}
