import { rejection, silenced } from '../base/promises.js';
import { freshness, type HeldEntry } from '../entry.js';
import { LEADER_LOST } from '../flights/claims.js';
import { accepts, count, problemWith, tell } from './answering.js';
import { board, follow, lead } from './boarding.js';
import type { Failure } from './failures.js';
import { MEMORY, type Answer, type Outcome, type Role } from './outcome.js';
import { patiently } from './patience.js';
import type { Ask, CacheFlight, Face, Reads } from './reads.js';
import { refreshAhead, revalidate } from './revalidate.js';

/** key → memory → flight( storage → upstream → write-back ). */
export function lookup<V, A>(reads: Reads<V>, key: string, ask: Ask<V>, face: Face<V, A>): Promise<A> {
  const { signal, maxStale } = ask.read;
  if (signal?.aborted === true) return rejection(signal.reason);
  const held = reads.held.get(key);
  if (held !== undefined) {
    const now = reads.turn.now();
    const state = freshness(held, now);
    if (state === 'fresh') {
      reads.counters.hits += 1;
      if (reads.events.heard) tell(reads, key, { status: 'hit', tier: MEMORY });
      if (reads.rules.refreshAhead !== undefined) refreshAhead(reads, key, { entry: held, tier: MEMORY }, ask);
      return face.hit(held, 'hit');
    }
    if (state === 'stale' && now < held.freshUntil + maxStale) {
      reads.counters.staleHits += 1;
      if (reads.events.heard) tell(reads, key, { status: 'stale', tier: MEMORY });
      revalidate(reads, key, { entry: held, tier: MEMORY }, ask);
      return face.hit(held, 'stale');
    }
  }
  return miss(reads, key, ask, face);
}

/** Leads or joins a flight for `key`: memory has nothing that will do. */
function miss<V, A>(reads: Reads<V>, key: string, ask: Ask<V>, face: Face<V, A>): Promise<A> {
  const problem = problemWith(reads, key);
  if (problem !== undefined) return rejection(problem);
  const failure = reads.failures.active(key);
  const spared = failure === undefined ? undefined : backedOff(reads, key, ask, failure);
  if (spared !== undefined) return face.answer(spared);

  const current = reads.flights.find(key);
  // Limited patience, a leader that may vanish, or tags that were invalidated since the flight began need a look at what it brings.
  const isPlain =
    ask.read.isPatient && ask.parent === undefined && reads.rules.softTimeout === Infinity && reads.scope === undefined;
  if (!isPlain || failure !== undefined || (current !== undefined && current.detail.epoch !== reads.marks.epoch))
    return face.answer(silenced(wait(reads, key, ask)));
  const seated = current === undefined ? lead(reads, key, ask, face.seat) : follow(reads, current, ask, face.seat);
  return seated instanceof Error ? rejection(seated) : seated;
}

/** What forbids a load for now: the failure itself, or what memory has to stand in for it. */
function backedOff<V>(reads: Reads<V>, key: string, ask: Ask<V>, failure: Failure): Promise<Answer<V>> | undefined {
  const { error, covered } = failure;
  if (!covered) {
    reads.counters.misses += 1;
    return rejection(error);
  }
  const entry = reads.held.peek(key);
  if (entry === undefined || freshness(entry, reads.clock.now()) === 'gone') return undefined;
  const outcome: Outcome<V> = { entry, tier: MEMORY, status: 'fallback', error, loaded: false, stored: true };
  if (!accepts(reads, outcome, ask, reads.marks.epoch)) return undefined;
  count(reads, 'fallback', 1);
  tell(reads, key, outcome);
  return Promise.resolve({ outcome, role: 'none' });
}

/** The value of a load of `key` that this call leads or joins, whatever the tiers hold. */
export async function refresh<V>(reads: Reads<V>, key: string, ask: Ask<V>): Promise<V> {
  const problem = problemWith(reads, key);
  if (problem !== undefined) throw problem;
  ask.read.signal?.throwIfAborted();
  const { outcome } = await wait(reads, key, { ...ask, reason: 'refresh' });
  return outcome.entry.value as V;
}

/** Leads or joins flights for `key` until one brings what this caller accepts. */
async function wait<V>(reads: Reads<V>, key: string, asked: Ask<V>): Promise<Answer<V>> {
  const { epoch } = reads.marks;
  const mustLoad = asked.reason === 'refresh';
  for (let ask = asked; ;) {
    const boarded = board(reads, key, ask, (flight, role) => {
      return { flight, role, result: reads.flights.subscribe(flight, ask.read.signal, ask.parent) };
    });
    if (boarded instanceof Error) throw boarded;
    const { flight, role, result } = boarded;
    const since = reads.clock.monotonic();
    try {
      const outcome = await patiently(reads, flight, result, ask);
      const accepted = accepts(reads, outcome, ask, epoch);
      if (outcome.status === 'fallback' && !accepted) throw outcome.error;
      if (accepted && (outcome.loaded || !mustLoad)) {
        count(reads, outcome.status, 1);
        return { outcome, role };
      }
    } catch (error) {
      if (error === LEADER_LOST) {
        ask = sparing(ask, reads.clock.monotonic() - since);
        continue;
      }
      if (ask.read.signal?.aborted !== true) reads.counters.misses += 1;
      throw error;
    }
    // Storage had something, but too stale for this caller, or a tag of it was invalidated before: only a load will do.
    if (mustLoad) takeOver(reads, key);
    else ask = { ...ask, reason: 'revalidate' };
  }
}

/** `ask` of a caller that has waited `ms` milliseconds already. */
function sparing<V>(ask: Ask<V>, ms: number): Ask<V> {
  return { ...ask, read: { ...ask.read, timeout: Math.max(0, ask.read.timeout - ms) } };
}

/** Takes a flight for `key` that still reads storage off the map: it will follow. Readers without memory would always be there first. */
function takeOver<V>(reads: Reads<V>, key: string): void {
  const current = reads.flights.find(key);
  if (current?.detail.ask.reason === 'miss' && current.detail.loadSince === undefined) reads.flights.fence(key);
}
