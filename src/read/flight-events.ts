import type { FlightOutcome } from '../base/events.js';
import type { FlightEnd } from '../flights/flight.js';
import type { CacheFlight, Reads } from './reads.js';

const OUTCOMES: Readonly<Record<FlightEnd, FlightOutcome>> = {
  succeeded: 'ok',
  failed: 'error',
  timedOut: 'timeout',
  aborted: 'aborted',
};

/** Numbers of flights that somebody heard of. A field of each flight would cost those that nobody listens to. */
const numbers = new WeakMap<object, number>();
let last = 0;

function numberOf(flight: object): number {
  const known = numbers.get(flight);
  if (known !== undefined) return known;
  numbers.set(flight, (last += 1));
  return last;
}

/** Tells listeners that `flight` was opened, was joined, or has ended, if any listen to that. */
export function tellFlight<V>(
  { events, flights }: Pick<Reads<V>, 'events' | 'flights'>,
  phase: 'lead' | 'join' | 'settle',
  flight: CacheFlight<V>,
  fallback = false,
): void {
  if (!events.wants('flight')) return;
  const { key, subscribers, end = 'failed', detail } = flight;
  const { reason } = detail.ask;
  const told = { type: 'flight', key, flight: numberOf(flight) } as const;
  if (phase === 'lead') return events.emit({ ...told, phase, reason });
  if (phase === 'join') return events.emit({ ...told, phase, subscribers: subscribers + 1 });
  const loaded = detail.loadSince !== undefined;
  const durationMs = flights.ageOf(flight);
  events.emit({ ...told, phase, reason, outcome: OUTCOMES[end], loaded, fallback, subscribers, durationMs });
}
