import { check, count, MEMORY, note, served, type Answer } from './answer.js';
import { held as heldFor } from './held.js';
import { LEADER_LOST } from '../requests/heartbeat.js';
import { pendingEntry, WRITES } from '../pending/pending-entry.js';
import { holdRequest } from '../requests/request-scope.js';
import type { Ask, Stages, Stored } from './stages.js';
import { fromStorage } from './storage-read.js';
import { promote } from './write-back.js';

/** What memory or storage can serve for `key`, without a load. */
export async function lookupCached<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<Answer<V> | undefined> {
  check(stages, key, ask);
  const held = heldFor(stages, key);
  const found = held === undefined ? undefined : { entry: held, tier: MEMORY };
  const outcome = served(stages, found, ask) ?? served(stages, await probe(stages, key, ask), ask);
  if (outcome === undefined) {
    stages.counters.misses += 1;
    return undefined;
  }
  note(stages, key, outcome);
  count(stages, outcome.status, 1);
  return { outcome, role: 'none' };
}

/** Reads storage for callers that want no load; they share one reading. */
async function probe<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<Stored<V> | undefined> {
  const { probes } = stages;
  const hasPending = stages.settings.writes?.pending !== undefined;
  if (stages.tiers.length === 0 && !hasPending) return undefined;
  const current = probes.find(key);
  if (current !== undefined) return follow(stages, key, ask, probes.subscribe(current, ask.read.signal));

  const flight = probes.open(key, undefined, true);
  if (flight instanceof Error) throw flight;
  const result = probes.subscribe(flight, ask.read.signal);
  probes.start(flight, async () => {
    const written = hasPending ? await pendingEntry(stages, key, ask.lifetime) : undefined;
    if (written !== undefined) return { entry: written, tier: WRITES, depth: 0 };
    const found = await fromStorage(stages, key, undefined);
    if (found !== undefined && !flight.fenced && flight.outcome === undefined) promote(stages, key, found, ask);
    return found;
  });
  holdRequest(stages, flight, 'load', ask);
  return result;
}

/** What another caller's reading brings, or one of one's own where that caller is gone. */
async function follow<V>(
  stages: Stages<V>,
  key: string,
  ask: Ask<V>,
  result: Promise<Stored<V> | undefined>,
): Promise<Stored<V> | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error === LEADER_LOST) return probe(stages, key, ask);
    throw error;
  }
}
