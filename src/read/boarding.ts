import type { SoloflightError } from '../errors.js';
import type { Found } from '../ports.js';
import { MEMORY, type Role } from './outcome.js';
import type { Ask, CacheFlight, Reads } from './reads.js';

/** Joins the flight for `key`, or leads one. No `await` lies between finding none and recording the new one. */
export function board<V, T>(
  reads: Reads<V>,
  key: string,
  ask: Ask<V>,
  seat: (flight: CacheFlight<V>, role: Role) => T,
): T | SoloflightError {
  const current = reads.flights.find(key);
  return current === undefined ? lead(reads, key, ask, seat) : follow(reads, current, ask, seat);
}

/** Leads a flight for `key`, for which there is none to join. */
export function lead<V, T>(
  reads: Reads<V>,
  key: string,
  ask: Ask<V>,
  seat: (flight: CacheFlight<V>, role: Role) => T,
): T | SoloflightError {
  const held = reads.held.peek(key);
  const flight = open(reads, key, ask, held === undefined ? undefined : { entry: held, tier: MEMORY });
  if (flight instanceof Error) return flight;
  const seated = seat(flight, 'leader');
  reads.flights.start(flight, reads.fly);
  reads.deferred.holdRequest(flight, 'load', ask.read.waitUntil);
  return seated;
}

/** Records a flight for `key`. */
export function open<V>(
  reads: Reads<V>,
  key: string,
  ask: Ask<V>,
  fallback: Found<V> | undefined,
): CacheFlight<V> | SoloflightError {
  return reads.flights.open(key, {
    ask,
    epoch: reads.marks.epoch,
    fallback,
    loadSince: undefined,
    made: undefined,
    readers: 0,
    lease: undefined,
    impatient: undefined,
  });
}

export function follow<V, T>(
  reads: Reads<V>,
  flight: CacheFlight<V>,
  ask: Ask<V>,
  seat: (flight: CacheFlight<V>, role: Role) => T,
): T | SoloflightError {
  const { flights, counters, events } = reads;
  const refusal = flights.join(flight, ask.parent);
  if (refusal !== undefined) return refusal;
  counters.coalesced += 1;
  if (events.heard && events.wants('coalesced')) events.emit({ type: 'coalesced', key: flight.key });
  return seat(flight, 'follower');
}
