/** A figure that is told of a source, by its OpenTelemetry name. */
export interface Instrument {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit?: 's';
  readonly help: string;
  /** What becomes of the figures of sources that share a name. @default their sum */
  readonly joins?: 'max' | 'min';
}

/** The short names of {@link INSTRUMENTS}. */
export type InstrumentName =
  | 'requests'
  | 'coalesced'
  | 'loads'
  | 'loadDuration'
  | 'flights'
  | 'subscribers'
  | 'oldestAge'
  | 'entries'
  | 'evictions'
  | 'invalidations'
  | 'storageDuration'
  | 'storageAvailable'
  | 'pendingInvalidations'
  | 'writesPending'
  | 'writesOldestAge'
  | 'writesDelivered'
  | 'deadLetters'
  | 'writesDelay'
  | 'batchPending';

/** All instruments. The only place with their names. */
export const INSTRUMENTS: Readonly<Record<InstrumentName, Instrument>> = {
  requests: { name: 'soloflight.cache.requests', kind: 'counter', help: 'Reads, by how they were answered.' },
  coalesced: { name: 'soloflight.cache.coalesced', kind: 'counter', help: 'Calls that joined a flight under way.' },
  loads: { name: 'soloflight.cache.loads', kind: 'counter', help: 'Loads from the upstream, by how they ended.' },
  loadDuration: {
    ...{ name: 'soloflight.cache.load.duration', kind: 'histogram', unit: 's' },
    help: 'Time that loads from the upstream took.',
  },
  flights: { name: 'soloflight.flights', kind: 'gauge', help: 'Flights under way.' },
  subscribers: { name: 'soloflight.flight.subscribers', kind: 'gauge', help: 'Callers that wait for flights.' },
  oldestAge: {
    ...{ name: 'soloflight.flight.oldest_age', kind: 'gauge', unit: 's', joins: 'max' },
    help: 'Age of the oldest flight under way.',
  },
  entries: { name: 'soloflight.cache.entries', kind: 'gauge', help: 'Entries in memory.' },
  evictions: { name: 'soloflight.cache.evictions', kind: 'counter', help: 'Entries that memory dropped for others.' },
  invalidations: { name: 'soloflight.cache.invalidations', kind: 'counter', help: 'Invalidations by this process.' },
  storageDuration: {
    ...{ name: 'soloflight.storage.duration', kind: 'histogram', unit: 's' },
    help: 'Time that operations of storage tiers took.',
  },
  storageAvailable: {
    ...{ name: 'soloflight.storage.available', kind: 'gauge', joins: 'min' },
    help: 'Whether a storage tier answers: 0 after five failures in a row.',
  },
  pendingInvalidations: {
    ...{ name: 'soloflight.storage.pending_invalidations', kind: 'gauge', joins: 'max' },
    help: 'Changes that storage tiers missed and are still to be told of.',
  },
  writesPending: { name: 'soloflight.writes.pending', kind: 'gauge', help: 'Writes that are not delivered yet.' },
  writesOldestAge: {
    ...{ name: 'soloflight.writes.oldest_age', kind: 'gauge', unit: 's', joins: 'max' },
    help: 'Age of the oldest write that is not delivered.',
  },
  writesDelivered: { name: 'soloflight.writes.delivered', kind: 'counter', help: 'Writes that the sink has taken.' },
  deadLetters: { name: 'soloflight.writes.dead_letters', kind: 'counter', help: 'Writes that were given up.' },
  writesDelay: {
    ...{ name: 'soloflight.writes.delay', kind: 'histogram', unit: 's' },
    help: 'Time from accepting a write to its delivery.',
  },
  batchPending: { name: 'soloflight.batch.pending', kind: 'gauge', help: 'Items of a batcher without a result.' },
};

/** The attribute that names a source. */
export const SOURCE = 'cache.name';

/** The Prometheus name of `instrument`: underscores, the unit, and `_total` for counters. */
export function prometheusName({ name, kind, unit }: Instrument): string {
  const base = name.replaceAll('.', '_') + (unit === undefined ? '' : '_seconds');
  return kind === 'counter' ? `${base}_total` : base;
}
