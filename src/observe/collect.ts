import type { SingleflightStats } from '../flights/flight-map.js';
import type { CacheStats } from '../read/stats.js';
import type { WriteStatus } from '../writes/write-behind.js';
import { INSTRUMENTS, SOURCE } from './names.js';
import { known, type Observed } from './observed.js';
import { recorderOf } from './recorder.js';
import { Samples, type Attributes } from './samples.js';

/** One source, several, or several by name. */
export type Sources = Observed | readonly Observed[] | Readonly<Record<string, Observed>>;

/** So many names get series of their own; all further sources share the name `other`. */
const MOST_NAMES = 100;
const OTHER = 'other';

/** The figures of all `sources` now. A source that fails is left out: a scrape during a shutdown must not fail. */
export function collect(sources: Sources): Samples {
  const samples = new Samples();
  for (const [index, [name, source]] of named(sources).entries()) {
    const attributes = { [SOURCE]: index < MOST_NAMES ? name : OTHER };
    const recorder = recorderOf(source);
    try {
      addState(samples, attributes, source);
      recorder.report(samples, attributes);
    } catch {
      // A stand-in's failure is its own.
    }
  }
  return samples;
}

/** Each source and its name. */
function named(sources: Sources): readonly (readonly [name: string, source: Observed])[] {
  if (Array.isArray(sources))
    return (sources as readonly Observed[]).map((source, index) => [`cache-${index + 1}`, checked(source)] as const);
  if (isOne(sources)) return [['default', sources]];
  if (typeof sources !== 'object' || sources === null) return [['default', checked(sources)]];
  return Object.entries(sources as Readonly<Record<string, Observed>>).map(
    ([name, source]) => [name, checked(source)] as const,
  );
}

function checked(source: Observed): Observed {
  known(source);
  return source;
}

function isOne(sources: Sources): sources is Observed {
  try {
    known(sources as Observed);
    return true;
  } catch {
    return false;
  }
}

/** Adds what `source` says of itself when it is asked. */
function addState(samples: Samples, attributes: Attributes, source: Observed): void {
  const found = known(source);
  switch (found.kind) {
    case 'cache':
      return addCache(samples, attributes, found.source.getStats());
    case 'flights':
      return addFlightTotals(samples, attributes, found.source.getStats());
    case 'writes':
      return addWrites(samples, attributes, found.source.status());
    case 'batcher':
      return samples.add(INSTRUMENTS.batchPending, attributes, found.source.pending);
  }
}

function addCache(samples: Samples, attributes: Attributes, stats: CacheStats): void {
  const results = {
    ...{ hit: stats.hits, stale: stats.staleHits, miss: stats.misses, fallback: stats.fallbacks },
    refused: stats.flights.rejected,
  };
  for (const [result, value] of Object.entries(results))
    samples.add(INSTRUMENTS.requests, { ...attributes, result }, value);
  samples.add(INSTRUMENTS.coalesced, attributes, stats.coalesced);
  samples.add(INSTRUMENTS.entries, attributes, stats.size);
  samples.add(INSTRUMENTS.evictions, attributes, stats.evictions);
  samples.add(INSTRUMENTS.pendingInvalidations, attributes, stats.pendingInvalidations);
  addFlights(samples, attributes, stats.flights);
}

function addFlightTotals(samples: Samples, attributes: Attributes, stats: SingleflightStats): void {
  const { succeeded, failed, timedOut, aborted } = stats;
  const ends = { ok: succeeded, error: failed, timeout: timedOut, aborted };
  for (const [outcome, value] of Object.entries(ends))
    samples.add(INSTRUMENTS.loads, { ...attributes, reason: 'call', outcome }, value);
  samples.add(INSTRUMENTS.requests, { ...attributes, result: 'miss' }, stats.led + stats.joined);
  samples.add(INSTRUMENTS.requests, { ...attributes, result: 'refused' }, stats.rejected);
  samples.add(INSTRUMENTS.coalesced, attributes, stats.joined);
  addFlights(samples, attributes, stats);
}

function addFlights(samples: Samples, attributes: Attributes, stats: SingleflightStats): void {
  samples.add(INSTRUMENTS.flights, attributes, stats.inFlightCount);
  samples.add(INSTRUMENTS.subscribers, attributes, stats.totalSubscribers);
  samples.add(INSTRUMENTS.oldestAge, attributes, (stats.oldestCallAge ?? 0) / 1_000);
}

function addWrites(samples: Samples, attributes: Attributes, status: WriteStatus): void {
  samples.add(INSTRUMENTS.writesPending, attributes, status.pending);
  samples.add(INSTRUMENTS.writesOldestAge, attributes, (status.oldestAge ?? 0) / 1_000);
}
