import type { LoadContext, Loaded, LoadControl, StaleValue, Upstream } from './contracts.js';
import { createEntry, type Entry, type Windows } from './entry.js';
import { misuse } from './errors.js';
import { isLoaded } from './loaded.js';
import { parseDuration, windowsOf } from './options.js';
import type { Ask, CacheFlight, Outcome, Stages, Tiered } from './stages.js';
import { storeBehind, writeBack } from './write-back.js';

const NO_WINDOWS: Windows = Object.freeze({ ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 });
const NO_CONTROL: LoadControl = Object.freeze({});

/** One call to the upstream for `flight`: its entry goes into the tiers, its failure is covered by `previous` where that may be. */
export async function load<V>(stages: Stages<V>, flight: CacheFlight<V>, ask: Ask<V>, previous: Tiered<V> | undefined): Promise<Outcome<V>> {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = stages;
  journey.fallback = previous;
  const known = journey.reason === 'refresh' ? undefined : stages.failures.active(key);
  if (known !== undefined) return fallBack(stages, flight, known.error, false);

  const { upstream } = ask;
  if (upstream === undefined) throw misuse('upstream', 'set for a key that is not cached: pass `upstream` to the cache, or call `getOrLoad`', upstream);
  if (journey.reason === 'miss' && events.wants('miss')) events.emit({ type: 'miss', key });
  counters.loads += 1;
  const startedAt = clock.now();
  journey.loadSince = clock.monotonic();
  announceFallback(journey);
  let result: V | Loaded<V>;
  try {
    result = await stages.flights.within(flight, () => upstream(key, contextOf(stages, flight, previous)));
  } catch (error) {
    return loadFailed(stages, flight, error);
  }
  const control = isLoaded(result) ? result.control : NO_CONTROL;
  if (isLoaded(result) && result.kind === 'not-modified' && previous === undefined) {
    return loadFailed(stages, flight, misuse('result of the upstream', 'a value: `notModified()` needs a previous one (`load.stale`)', undefined));
  }
  const value = !isLoaded(result) ? result : result.kind === 'loaded' ? result.value : previous?.entry.value;
  const renewed = isLoaded(result) && result.kind === 'not-modified' ? previous?.entry : undefined;

  const loadMs = clock.monotonic() - journey.loadSince;
  if (flight.outcome === undefined) {
    counters.latency.record(loadMs);
    if (events.wants('load')) events.emit({ type: 'load', key, reason: journey.reason, durationMs: loadMs });
  }
  const windows = lifetimeOf(stages, ask, key, value, control);
  const entry: Entry<V> = createEntry(value, windows, {
    startedAt,
    createdAt: clock.now(),
    loadMs: Math.round(loadMs),
    tags: control.tags ?? renewed?.tags ?? ask.lifetime.tags,
    meta: control.meta ?? renewed?.meta,
  });
  const stored = writeBack(stages, flight, entry, previous, control.store !== false);
  const outcome: Outcome<V> = { entry, tier: 'upstream', status: 'miss', loaded: true, stored };
  journey.landed = outcome;
  const storing = stored ? storeBehind(stages, flight, entry, previous) : undefined;
  if (storing !== undefined) await storing;
  return outcome;
}

/** Ends `flight` at its `maxDuration`. A hung load is a failed load: the stored value may still stand in. */
export function timedOut<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  return flight.detail.landed ?? cover(stages, flight, error);
}

function loadFailed<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  // A load that was given up, or that nobody waits for any more, fails for nobody.
  if (flight.outcome !== undefined) throw error;
  return cover(stages, flight, error);
}

/** What subscribers get when the load failed: the stored value while that is allowed, else the failure as it is. */
function cover<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): Outcome<V> {
  const { key, detail: journey } = flight;
  const { clock, counters, events } = stages;
  if (journey.loadSince !== undefined) counters.loadFailures += 1;
  if (events.wants('load-error')) {
    events.emit({ type: 'load-error', key, reason: journey.reason, durationMs: clock.monotonic() - (journey.loadSince ?? flight.since), error });
  }
  if (!flight.fenced) noteFailure(stages, flight, error);
  return fallBack(stages, flight, error, true);
}

function fallBack<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown, loaded: boolean): Outcome<V> {
  const { fallback } = flight.detail;
  if (fallback === undefined || stages.clock.now() >= fallback.entry.errorUntil) throw error;
  return { ...fallback, status: 'fallback', error, loaded, stored: true };
}

function noteFailure<V>(stages: Stages<V>, flight: CacheFlight<V>, error: unknown): void {
  const { key, detail: journey } = flight;
  const covered = journey.fallback !== undefined && stages.clock.now() < journey.fallback.entry.errorUntil;
  if (covered) {
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

function lifetimeOf<V>(stages: Stages<V>, ask: Ask<V>, key: string, value: V | undefined, control: LoadControl): Windows {
  const { absentTtl } = stages.settings;
  try {
    if (value !== undefined) return windowsOf(ask.lifetime, value, key, control);
    const ttl = control.ttl ?? absentTtl;
    return ttl === 0 ? NO_WINDOWS : windowsOf({ ...ask.lifetime, ttl: absentTtl }, value as V, key, { ...control, ttl });
  } catch (error) {
    // The value is good; only how long it lives is not known. So it is handed out and not kept.
    stages.events.emit({ type: 'error', source: 'ttl', key, error });
    return NO_WINDOWS;
  }
}

function contextOf<V>(stages: Stages<V>, flight: CacheFlight<V>, previous: Tiered<V> | undefined): LoadContext<V> {
  return {
    key: flight.key,
    reason: flight.detail.reason,
    stale: staleOf(previous),
    execute: <T>(key: string, work: Upstream<T>) => stages.nested(flight, key, work),
    get signal() {
      return flight.signal;
    },
  };
}

function staleOf<V>(previous: Tiered<V> | undefined): StaleValue<V> | undefined {
  if (previous === undefined || previous.entry.value === undefined) return undefined;
  const { value, createdAt, meta } = previous.entry;
  return { value, createdAt, meta };
}

/** Lets those go who were only waiting for something to answer with. */
function announceFallback<V>(journey: CacheFlight<V>['detail']): void {
  const impatient = journey.impatient ?? [];
  journey.impatient = undefined;
  for (const leave of impatient) leave();
}

