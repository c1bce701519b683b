import { accepts, check, count, MEMORY, note, served, type Answer, type Role } from './answer.js';
import type { Loaded, LoadReason, MaybePromise } from '../contracts.js';
import { freshness, type HeldEntry } from '../entry.js';
import type { SoloflightError } from '../errors.js';
import { loadOnce } from '../fleet/leases.js';
import { forFlights } from '../flights/flight.js';
import { held as heldFor, heldQuietly } from './held.js';
import { LEADER_LOST } from '../requests/heartbeat.js';
import { call, endWith, endWithout, load } from './load.js';
import { patiently } from './patience.js';
import { pendingEntry, WRITES } from '../pending/pending-entry.js';
import { afterLoss, holdRequest } from '../requests/request-scope.js';
import { refreshAhead, revalidate } from './revalidate.js';
import { createJourney, land, type Ask, type CacheFlight, type Outcome, type Stages, type Tiered } from './stages.js';
import { fromStorage } from './storage-read.js';
import { promote, storeBehind, writeBack } from './write-back.js';

interface Boarded<V> {
  readonly flight: CacheFlight<V>;
  readonly result: Promise<V>;
  readonly role: Role;
}

/** key → memory → flight( storage → upstream → write-back ). */
export async function lookup<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<Answer<V>> {
  check(stages, key, ask);
  const asked = stages.marks.epoch;
  const held = heldFor(stages, key);
  const near = held === undefined ? undefined : fromMemory(stages, key, held, ask);
  if (near !== undefined) return near;
  const failure = stages.failures.active(key);
  if (failure !== undefined && !failure.covered) {
    stages.counters.misses += 1;
    throw failure.error;
  }

  let answer = await fromFlight(stages, key, ask, 'miss', asked);
  // Storage had something, but too stale for this caller, or a tag of it was invalidated before: only a load will do.
  while (!accepts(stages, answer.outcome, ask, asked)) answer = await fromFlight(stages, key, ask, 'revalidate', asked);
  count(stages, answer.outcome.status, 1);
  return answer;
}

/** Leads or joins a load of `key`, whatever the tiers hold. */
export async function refresh<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<Answer<V>> {
  check(stages, key, ask);
  const asked = stages.marks.epoch;
  let answer = await fromFlight(stages, key, ask, 'refresh', asked);
  // A flight joined on the way may have ended at a storage tier, or at a failure still remembered, or be too old.
  while (!answer.outcome.loaded || !accepts(stages, answer.outcome, ask, asked)) {
    takeOver(stages, key);
    answer = await fromFlight(stages, key, ask, 'refresh', asked);
  }
  count(stages, answer.outcome.status, 1);
  return answer;
}

/** Takes a flight for `key` that still reads storage off the map: it will follow. Readers without memory would always be there first. */
function takeOver<V>(stages: Stages<V>, key: string): void {
  const current = stages.flights.find(key);
  if (current?.detail.reason === 'miss' && current.detail.loadSince === undefined) stages.flights.fence(key);
}

/** What memory can answer at once; a stale answer is followed by a reload in the background. */
function fromMemory<V>(stages: Stages<V>, key: string, held: HeldEntry<V>, ask: Ask<V>): Answer<V> | undefined {
  const found = { entry: held, tier: MEMORY };
  const outcome = served(stages, found, ask) ?? backedOff(stages, key, found, ask);
  if (outcome === undefined) return undefined;
  count(stages, outcome.status, 1);
  note(stages, key, outcome);
  if (outcome.status === 'stale') revalidate(stages, key, found, ask);
  if (outcome.status === 'hit') refreshAhead(stages, key, found, ask);
  return { outcome, role: 'none' };
}

/** The fallback for a key whose load failed a moment ago: asking again so soon would only hurt the upstream. */
function backedOff<V>(stages: Stages<V>, key: string, found: Tiered<V>, ask: Ask<V>): Outcome<V> | undefined {
  const failure = stages.failures.active(key);
  const usable = failure !== undefined && freshness(found.entry, stages.clock.now()) !== 'gone';
  if (!usable) return undefined;
  const outcome: Outcome<V> = { ...found, status: 'fallback', error: failure.error, loaded: false, stored: true };
  return accepts(stages, outcome, ask, stages.marks.epoch) ? outcome : undefined;
}

async function fromFlight<V>(
  stages: Stages<V>,
  key: string,
  ask: Ask<V>,
  reason: LoadReason,
  asked: number,
): Promise<Answer<V>> {
  const boarded = board(stages, key, ask, reason);
  if (boarded instanceof Error) throw boarded;
  const { flight } = boarded;
  const since = flight.lease === undefined ? 0 : stages.clock.monotonic();
  try {
    const outcome = await patiently(stages, flight, boarded.result, ask);
    if (outcome.status === 'fallback' && !accepts(stages, outcome, ask, asked)) throw outcome.error;
    return { outcome, role: boarded.role };
  } catch (error) {
    if (error === LEADER_LOST) return fromFlight(stages, key, afterLoss(stages, ask, since), reason, asked);
    if (ask.read.signal?.aborted !== true) stages.counters.misses += 1;
    throw error;
  }
}

/** Joins the flight for `key`, or leads one. No `await` lies between finding none and recording the new one. */
function board<V>(stages: Stages<V>, key: string, ask: Ask<V>, reason: LoadReason): Boarded<V> | SoloflightError {
  const current = stages.flights.find(key);
  if (current !== undefined) {
    const result = join(stages, current, ask);
    return result instanceof Error ? result : { flight: current, result, role: 'follower' };
  }

  return lead(stages, key, ask, reason, heldQuietly(stages, key));
}

/** Leads a flight for `key`, for which there is none to join; `held` is what memory has. */
export function lead<V>(
  stages: Stages<V>,
  key: string,
  ask: Ask<V>,
  reason: LoadReason,
  held: HeldEntry<V> | undefined,
): Boarded<V> | SoloflightError {
  const { flights } = stages;
  const fallback = held === undefined ? undefined : { entry: held, tier: MEMORY };
  const flight = flights.open(key, createJourney(reason, ask, fallback, stages.marks.epoch));
  if (flight instanceof Error) return flight;
  const result = flights.subscribe(flight, ask.read.signal, ask.parent);
  stages.start(flight);
  holdRequest(stages, flight, 'load', ask);
  return { flight, result, role: 'leader' };
}

/** One more subscriber for `flight`. */
export function join<V>(stages: Stages<V>, flight: CacheFlight<V>, ask: Ask<V>): Promise<V> | SoloflightError {
  const { flights, counters, events } = stages;
  const refusal = flights.join(flight, ask.parent);
  if (refusal !== undefined) return refusal;
  counters.coalesced += 1;
  if (events.heard && events.wants('coalesced')) events.emit({ type: 'coalesced', key: flight.key });
  return flights.subscribe(flight, ask.read.signal, ask.parent);
}

/**
 * What starts the flights of a cache.
 *
 * Where no tier, other process or pending write may have what is wanted, a flight is nothing but its load.
 */
export function starter<V>(stages: Stages<V>): (flight: CacheFlight<V>) => void {
  const { flights, settings, tiers, coherence } = stages;
  // Continuations of a load see its asynchronous context only if they begin in it.
  const isBare = tiers.length === 0 && coherence === undefined && settings.flights.asyncContext === undefined;
  if (isBare && settings.writes?.pending === undefined) {
    const work = (flight: CacheFlight<V>): MaybePromise<V | Loaded<V>> => call(stages, flight, flight.detail.fallback);
    const arrived = forFlights((flight: CacheFlight<V>, result: V | Loaded<V>) => endWith(stages, flight, result));
    const lost = forFlights((flight: CacheFlight<V>, error: unknown) => endWithout(stages, flight, error));
    return (flight) => flights.startRaw(flight, work, arrived, lost);
  }
  const work = (flight: CacheFlight<V>): Promise<V> => {
    // What changes elsewhere must be heard of from before there is anything in memory.
    const starting = coherence?.start();
    return starting === undefined ? fly(stages, flight) : starting.then(() => fly(stages, flight));
  };
  return (flight) => flights.start(flight, work);
}

/** The inside of a flight: storage, then the upstream. */
function fly<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> {
  return stages.settings.writes?.pending === undefined ? flyOn(stages, flight) : flyPastWrites(stages, flight);
}

/** What this process has written and not delivered yet is newer than what storage or the upstream has. */
async function flyPastWrites<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> {
  const written = await pendingEntry(stages, flight.key, flight.detail.ask.lifetime);
  if (flight.fenced && flight.outcome === undefined) return follow(stages, flight);
  if (written === undefined) return flyOn(stages, flight);
  const stored = writeBack(stages, flight, written, undefined, true);
  if (stored) void storeBehind(stages, flight, written, undefined);
  return land(flight, { entry: written, tier: WRITES, status: 'miss', loaded: true, stored });
}

function flyOn<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> {
  const { ask, reason, fallback } = flight.detail;
  // Without storage there is nothing to wait for, and the upstream is called in the caller's own tick.
  if (stages.tiers.length === 0 || ask.tried === true) return load(stages, flight, fallback);
  if (reason !== 'miss' && fallback !== undefined) return loadAlone(stages, flight, fallback);
  return flyThroughStorage(stages, flight);
}

async function flyThroughStorage<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> {
  const { key, detail: journey } = flight;
  const found = await fromStorage(stages, key, journey.fallback);
  // Invalidated while storage was being read: nothing was loaded yet, so whoever flies now does it for both.
  if (flight.fenced && flight.outcome === undefined) return follow(stages, flight);
  if (found === undefined) return loadAlone(stages, flight, journey.fallback);
  const state = freshness(found.entry, stages.clock.now());
  if (state !== 'gone' && flight.outcome === undefined) promote(stages, key, found, journey.ask);
  if (journey.reason !== 'miss' || state === 'expired' || state === 'gone') return loadAlone(stages, flight, found);
  return land(flight, {
    entry: found.entry,
    tier: found.tier,
    status: state === 'fresh' ? 'hit' : 'stale',
    loaded: false,
    stored: true,
  });
}

/** A load for `flight`, unless another process makes it: then what that one brings. */
function loadAlone<V>(stages: Stages<V>, flight: CacheFlight<V>, previous: Tiered<V> | undefined): Promise<V> {
  // A caller that asks for a load is not content with one that began earlier.
  if (stages.leasing === undefined || flight.detail.reason === 'refresh') return load(stages, flight, previous);
  return loadOnce(stages, stages.leasing, flight, previous, () => follow(stages, flight));
}

/** Lets the subscribers of a fenced flight have what the flight that took its place brings, or leads that one. */
async function follow<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> {
  const { ask, reason } = flight.detail;
  const read = { ...ask.read, signal: flight.signal };
  const boarded = board(stages, flight.key, { ...ask, read, tried: ask.tried !== undefined }, reason);
  if (boarded instanceof Error) throw boarded;
  try {
    await boarded.result;
  } catch (error) {
    if (error === LEADER_LOST) return follow(stages, flight);
    throw error;
  }
  return land(flight, boarded.flight.detail.outcome!);
}

/** Once per flight, when its key is free and before its subscribers run. */
export function flightEnded<V>(stages: Stages<V>, { key, fenced, detail: journey }: CacheFlight<V>): void {
  const { outcome, readers, ask } = journey;
  stages.rush.flight = undefined;
  if (outcome === undefined) {
    stages.counters.misses += readers;
    return;
  }
  count(stages, outcome.status, readers);
  note(stages, key, outcome);
  // What it found was invalidated since: nobody may fall back on it.
  if (fenced) return;
  if (outcome.status === 'stale') revalidate(stages, key, outcome, ask);
  if (outcome.status === 'hit') refreshAhead(stages, key, outcome, ask);
}
