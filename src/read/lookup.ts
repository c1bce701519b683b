import { rejection, silenced } from '../base/promises.js';
import { freshness } from '../entry.js';
import { CallerTimeoutError, type SoloflightError } from '../errors.js';
import { LEADER_LOST } from '../flights/claims.js';
import type { FlightHooks } from '../flights/flight-map.js';
import type { Found } from '../ports.js';
import { accepts, afterFailure, count, problemWith, tell } from './answering.js';
import { tellFlight } from './flight-events.js';
import { MEMORY, type Answer, type Outcome, type Role } from './outcome.js';
import { patiently } from './patience.js';
import type { Ask, CacheFlight, Face, Journey, Reads } from './reads.js';
import { isDueAhead } from './refresh-ahead.js';

/**
 * key → memory → flight( storage → upstream → write-back ).
 *
 * `face` makes of it what the caller wants: the value alone, or its story.
 */
export function lookup<V, A>(reads: Reads<V>, key: string, ask: Ask<V>, face: Face<V, A>): Promise<A> {
  const { counters, events, flights } = reads;
  const { signal, maxStale, isPatient } = ask.read;
  if (signal?.aborted === true) return rejection(signal.reason);
  // In a rush on one key, the flight joined last comes before memory (D31).
  const { rush } = flights;
  const again = rush !== undefined && rush.key === key && ask === reads.plain ? face.again(reads, rush) : undefined;
  if (again !== undefined) return again;
  // First the clock: it tells memory if it was set back.
  const now = reads.turn.now();
  const entry = reads.held.get(key);
  if (entry !== undefined) {
    const state = freshness(entry, now);
    if (state === 'fresh') {
      counters.hits += 1;
      if (events.heard) tell(reads, key, { status: 'hit', tier: MEMORY });
      if (reads.rules.refreshAhead !== undefined) refreshAhead(reads, key, { entry, tier: MEMORY }, ask);
      return face.hit(entry, 'hit');
    }
    if (state === 'stale' && now < entry.freshUntil + maxStale) {
      counters.staleHits += 1;
      if (events.heard) tell(reads, key, { status: 'stale', tier: MEMORY });
      revalidate(reads, key, { entry, tier: MEMORY }, ask);
      return face.hit(entry, 'stale');
    }
  }

  if (typeof key !== 'string' || reads.life.closed) return rejection(problemWith(reads, key));
  const current = flights.find(key);
  // A failure a moment ago, this caller's conditions, or tags invalidated since the flight began: `afterFailure` or `wait` answers.
  const hasFailed = reads.failures.any && reads.failures.active(key) !== undefined;
  const isPlain = isPatient && reads.isPatient && ask.parent === undefined && !hasFailed;
  if (!isPlain || (current !== undefined && current.detail.epoch !== reads.marks.epoch))
    return face.answer(silenced(afterFailure(reads, key, ask) ?? wait(reads, key, ask)));
  const flight = current ?? open(reads, key, ask, entry && { entry, tier: MEMORY });
  const refusal = current === undefined ? undefined : joining(reads, current, ask);
  if (refusal !== undefined || flight instanceof Error) return rejection(refusal ?? flight);
  // Memory had nothing to answer with when it began: the next callers need not look there.
  if (current?.detail.ask.reason === 'miss') flights.rush = current;
  const seated = face.seat(flights, flight, current === undefined ? 'leader' : 'follower');
  if (current === undefined) flights.start(flight, reads.fly);
  return seated;
}

/**
 * Joins the flight for `key`, or leads one, and returns what `seat` makes of it. `seat` runs before the work of a new flight
 * does (D27). No `await` lies between finding no flight and recording the new one.
 */
export function board<V, T>(
  reads: Reads<V>,
  key: string,
  ask: Ask<V>,
  seat: (flight: CacheFlight<V>, role: Role) => T,
): T | SoloflightError {
  const current = reads.flights.find(key);
  if (current !== undefined) return joining(reads, current, ask) ?? seat(current, 'follower');
  const entry = reads.held.peek(key);
  const flight = open(reads, key, ask, entry && { entry, tier: MEMORY });
  if (flight instanceof Error) return flight;
  const seated = seat(flight, 'leader');
  reads.flights.start(flight, reads.fly);
  reads.deferred.holdRequest(flight, 'load', ask.read.waitUntil);
  return seated;
}

/** Records a flight for `key`. */
function open<V>(
  reads: Reads<V>,
  key: string,
  ask: Ask<V>,
  fallback: Found<V> | undefined,
): CacheFlight<V> | SoloflightError {
  const flight = reads.flights.open(key, {
    ask,
    epoch: reads.marks.epoch,
    fallback,
    loadSince: undefined,
    made: undefined,
    readers: 0,
    permit: undefined,
    impatient: undefined,
  });
  if (reads.events.heard && !(flight instanceof Error)) tellFlight(reads, 'lead', flight);
  return flight;
}

/** Joins `flight` on behalf of a caller and returns why it may not, where it may not. */
function joining<V>(reads: Reads<V>, flight: CacheFlight<V>, { parent }: Ask<V>): SoloflightError | undefined {
  const { counters, events } = reads;
  const refusal = reads.flights.join(flight, parent);
  if (refusal !== undefined) return refusal;
  counters.coalesced += 1;
  if (!events.heard) return undefined;
  if (events.wants('coalesced')) events.emit({ type: 'coalesced', key: flight.key });
  tellFlight(reads, 'join', flight);
  return undefined;
}

/** The value of a load of `key` that this call leads or joins, whatever the tiers hold. */
export async function refresh<V>(reads: Reads<V>, key: string, ask: Ask<V>): Promise<V> {
  const problem = problemWith(reads, key);
  if (problem !== undefined) throw problem;
  ask.read.signal?.throwIfAborted();
  // Only a load will do, however slow: `softTimeout` does not apply.
  const read = { ...ask.read, softTimeout: Infinity };
  const asked: Ask<V> = { ...ask, read, reason: 'refresh' };
  const older = reads.flights.find(key);
  const answer = older?.detail.loadSince === undefined ? undefined : await afterOlder(reads, older, asked);
  const { outcome } = answer ?? (await wait(reads, key, asked));
  return outcome.entry.value as V;
}

/**
 * Waits for the end of a load that began before a `refresh` was called: what it brings may be older than the call. All who wait
 * share the next load, since the first of them to go on leads it. Resolves with an answer if the caller's patience ends before.
 */
async function afterOlder<V>(reads: Reads<V>, older: CacheFlight<V>, ask: Ask<V>): Promise<Answer<V> | undefined> {
  const refusal = joining(reads, older, ask);
  if (refusal !== undefined) throw refusal;
  try {
    const outcome = await patiently(reads, older, reads.flights.subscribe(older, ask.read.signal, ask.parent), ask);
    if (!(outcome.error instanceof CallerTimeoutError)) return undefined;
    count(reads, older.key, outcome);
    return { outcome, role: 'follower' };
  } catch (error) {
    if (error instanceof CallerTimeoutError || ask.read.signal?.aborted === true) throw error;
    // How the older load ended is its own callers' business.
    return undefined;
  }
}

/** Leads or joins flights for `key` until one brings what this caller accepts. */
async function wait<V>(reads: Reads<V>, key: string, asked: Ask<V>): Promise<Answer<V>> {
  const { flights, clock, counters } = reads;
  const { epoch } = reads.marks;
  const mustLoad = asked.reason === 'refresh';
  for (let ask = asked; ;) {
    const since = clock.monotonic();
    const boarded = board(reads, key, ask, (flight, role) => {
      return { flight, role, result: flights.subscribe(flight, ask.read.signal, ask.parent) };
    });
    if (boarded instanceof Error) throw boarded;
    try {
      const outcome = await patiently(reads, boarded.flight, boarded.result, ask);
      const accepted = accepts(reads, outcome, ask, epoch);
      // A `softTimeout` never rejects: what it found has become too old meanwhile, and the flight goes on.
      const { code } = Object(outcome.error) as Partial<SoloflightError>;
      const isSoft = code === 'SOLOFLIGHT_SOFT_TIMEOUT' && ask.read.softTimeout !== Infinity;
      if (outcome.status === 'fallback' && !accepted && !isSoft) throw outcome.error;
      // Whose own patience is over gets what there is, also instead of a load.
      if (accepted && (outcome.loaded || !mustLoad || outcome.error instanceof CallerTimeoutError)) {
        count(reads, key, outcome);
        return { outcome, role: boarded.role };
      }
      // Storage had something, but too stale for this caller, or a tag of it was invalidated before: only a load will do.
      if (mustLoad) takeOver(reads, key);
      else if (isSoft) ask = stillWaiting(reads, ask, since, Infinity);
      else ask = { ...ask, reason: 'revalidate' };
    } catch (error) {
      if (error !== LEADER_LOST) {
        if (ask.read.signal?.aborted !== true) counters.misses += 1;
        throw error;
      }
      // The request that led the flight has ended: once more.
      ask = stillWaiting(reads, ask, since);
    }
  }
}

/** `ask` with what is left of its `timeout`. */
function stillWaiting<V>({ clock }: Reads<V>, ask: Ask<V>, since: number, softTimeout = ask.read.softTimeout): Ask<V> {
  const timeout = Math.max(0, ask.read.timeout - clock.monotonic() + since);
  return { ...ask, read: { ...ask.read, timeout, softTimeout } };
}

/**
 * Fences a flight for `key` that still reads storage, so that a `refresh` leads the next one and the fenced flight follows it:
 * without memory, readers of a hot key would always be first (D35).
 */
function takeOver<V>({ flights }: Reads<V>, key: string): void {
  const current = flights.find(key);
  if (current?.detail.ask.reason === 'miss' && current.detail.loadSince === undefined) flights.fence(key);
}

/**
 * Reloads `found` behind the caller's back: once per key however many read it, and not while a failure backs off.
 *
 * A load already under way, whoever leads it, will do; it then goes on even if all who wait for it leave.
 */
function revalidate<V>(reads: Reads<V>, key: string, found: Found<V>, ask: Ask<V>): void {
  const { flights, failures, counters, events, deferred } = reads;
  if (ask.upstream === undefined) return;
  const current = flights.flying(key);
  if (current !== undefined) {
    current.keepAlive = true;
    return;
  }
  if (failures.active(key) !== undefined) return;

  const flight = open(reads, key, { ...ask, reason: 'revalidate' }, found);
  // `maxFlights` is reached: the stale value was served all the same, and the next read tries again.
  if (flight instanceof Error) return;
  flight.keepAlive = true;
  counters.revalidations += 1;
  if (events.wants('revalidate')) events.emit({ type: 'revalidate', key });
  flights.start(flight, reads.fly);
  if (flight.claim === undefined) deferred.add(flight.promise, 'revalidate', ask.read.waitUntil);
  else deferred.holdRequest(flight, 'revalidate', ask.read.waitUntil);
}

/** Reloads `found`, which is still fresh, where the cache refreshes ahead and it is time. */
function refreshAhead<V>(reads: Reads<V>, key: string, found: Found<V>, ask: Ask<V>): void {
  const { clock, rules, storage } = reads;
  const { entry } = found;
  const ahead = rules.refreshAhead;
  // Where storage goes on with an entry, the end of the tier's own ttl costs a read of storage, and no load.
  const until = storage === undefined ? entry.freshUntil : entry.uncut;
  if (ahead !== undefined && isDueAhead(entry, until, ahead, clock)) revalidate(reads, key, found, ask);
}

/** What the flight map asks of reads: what plain callers get, what a timeout brings, and what follows the end of a flight. */
export function hooksOf<V>(
  reads: Reads<V>,
  timedOut: (reads: Reads<V>, flight: CacheFlight<V>, error: unknown) => Outcome<V>,
): FlightHooks<string, Outcome<V>, Journey<V>, V> {
  return {
    valueIn: ({ entry }) => entry.value as V,
    rescue: (flight, error) => timedOut(reads, flight, error),
    hasFailed: ({ status, loaded }) => status === 'fallback' && loaded,
    ended: flightEnded.bind<undefined, [Reads<V>], [CacheFlight<V>, Outcome<V> | undefined], void>(undefined, reads),
  };
}

/** For callers that want the value alone. All caches share it: of one per cache V8 would inline none (D103). */
const VALUES: Face<unknown, unknown> = {
  hit: (entry) => entry.answer,
  seat: (flights, flight) => {
    flight.detail.readers += 1;
    return flights.follow(flight);
  },
  again: ({ flights, counters, events, marks }, flight) => {
    const { detail } = flight;
    if (events.heard || detail.epoch !== marks.epoch) return undefined;
    const value = flights.rejoin(flight);
    if (value !== undefined) {
      counters.coalesced += 1;
      detail.readers += 1;
    }
    return value;
  },
  answer: (answer) => silenced(answer.then(({ outcome }) => outcome.entry.value)),
};

/** For callers that want the whole story. */
const STORIES: Face<unknown, Answer<unknown>> = {
  hit: (entry, status) =>
    Promise.resolve({ outcome: { entry, tier: MEMORY, status, loaded: false, stored: true }, role: 'none' }),
  seat: (flights, flight, role) => {
    flight.detail.readers += 1;
    return silenced(flights.subscribe(flight).then((outcome) => ({ outcome, role })));
  },
  again: () => undefined,
  answer: (answer) => answer,
};

/** {@link Face} of callers that want the value alone. */
export function values<V>(): Face<V, V> {
  return VALUES as never;
}

/** {@link Face} of callers that want the whole story. */
export function stories<V>(): Face<V, Answer<V>> {
  return STORIES as never;
}

/** Once per flight, when its key is free and before its subscribers run. */
function flightEnded<V>(reads: Reads<V>, flight: CacheFlight<V>, outcome: Outcome<V> | undefined): void {
  const { key, fenced, detail } = flight;
  const { readers, ask } = detail;
  if (reads.events.heard) tellFlight(reads, 'settle', flight, outcome?.status === 'fallback');
  if (outcome === undefined || outcome.status === 'miss') {
    reads.counters.misses += readers;
    return;
  }
  count(reads, key, outcome, readers);
  // What it found was invalidated since: nobody may fall back on it.
  if (fenced) return;
  if (outcome.status === 'stale') revalidate(reads, key, outcome, ask);
  if (outcome.status === 'hit') refreshAhead(reads, key, outcome, ask);
}
