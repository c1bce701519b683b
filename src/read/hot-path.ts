import { MEMORY, problemWith, type Answer } from './answer.js';
import { freshness, type HeldEntry } from '../entry.js';
import { rejection, silenced } from '../flights/flight.js';
import { current } from './held.js';
import { join, lead, lookup } from './lookup.js';
import { refreshAhead, revalidate } from './revalidate.js';
import type { Ask, CacheFlight, Stages } from './stages.js';

/** The value for `key`, for a caller that asks nothing special: as little as possible stands between it and a hit. */
export function get<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<V> {
  const { rush } = stages;
  if (rush.flight !== undefined && rush.flight.key === key) {
    const joined = joinRush(stages, rush.flight);
    if (joined !== undefined) return joined;
  }
  let held = stages.memory.get(key) as HeldEntry<V> | undefined;
  if (held?.tagging !== undefined) held = current(stages, key, held);
  if (held !== undefined) {
    const state = freshness(held, stages.turn.now());
    if (state === 'fresh') {
      stages.counters.hits += 1;
      if (stages.events.heard) noteHit(stages, key);
      if (stages.ahead !== undefined) refreshAhead(stages, key, { entry: held, tier: MEMORY }, ask);
      return held.answer;
    }
    if (state === 'stale') return stale(stages, key, held, ask);
  }
  const problem = problemWith(stages, key);
  if (problem !== undefined) return rejection(problem);
  const { softTimeout, scope } = stages.settings;
  // Limited patience, a leader that may vanish, or a failure to take into account needs an answer of its own.
  if (softTimeout !== Infinity || scope === 'request' || stages.failures.active(key) !== undefined)
    return silenced(value(lookup(stages, key, ask)));

  const flight = stages.flights.find(key);
  if (flight !== undefined) {
    // Tags were invalidated since it began: whether its result is one of theirs is known when it is there.
    if (flight.detail.epoch !== stages.marks.epoch) return silenced(value(lookup(stages, key, ask)));
    const result = join(stages, flight, ask);
    if (result instanceof Error) return rejection(result);
    flight.detail.readers += 1;
    // A key loaded for want of any entry, without a switch that might turn against joining: others can follow blindly.
    if (flight.detail.reason === 'miss' && stages.settings.flights.coalesce === true) rush.flight = flight;
    return result;
  }
  const boarded = lead(stages, key, ask, 'miss', held);
  if (boarded instanceof Error) return rejection(boarded);
  boarded.flight.detail.readers += 1;
  return boarded.result;
}

/** The promise of a flight that nothing has happened to since it was last joined. */
function joinRush<V>(stages: Stages<V>, flight: CacheFlight<V>): Promise<V> | undefined {
  if (flight.fenced || flight.outcome !== undefined) {
    stages.rush.flight = undefined;
    return undefined;
  }
  if (stages.events.heard) return undefined;
  const result = stages.flights.follow(flight);
  if (result === undefined) return undefined;
  stages.counters.coalesced += 1;
  flight.detail.readers += 1;
  return result;
}

function value<V>(answer: Promise<Answer<V>>): Promise<V> {
  return answer.then(({ outcome }) => outcome.entry.value as V);
}

function noteHit<V>({ events }: Stages<V>, key: string): void {
  if (events.wants('hit')) events.emit({ type: 'hit', key, tier: MEMORY });
}

function stale<V>(stages: Stages<V>, key: string, held: HeldEntry<V>, ask: Ask<V>): Promise<V> {
  stages.counters.staleHits += 1;
  if (stages.events.wants('stale')) stages.events.emit({ type: 'stale', key, tier: MEMORY });
  revalidate(stages, key, { entry: held, tier: MEMORY }, ask);
  return held.answer;
}
