import { freshness } from '../entry.js';
import { LEADER_LOST } from '../flights/claims.js';
import type { Found, Stored } from '../ports.js';
import { count, problemWith } from './answering.js';
import { WRITES } from './fly.js';
import { pendingEntryOf } from './new-entry.js';
import { MEMORY, type Outcome } from './outcome.js';
import type { Ask, Reads } from './reads.js';
import { promote } from './write-back.js';

/** What memory or storage can serve for `key`, without a load. */
export async function lookupCached<V>(reads: Reads<V>, key: string, ask: Ask<V>): Promise<Outcome<V> | undefined> {
  const problem = problemWith(reads, key);
  if (problem !== undefined) throw problem;
  ask.read.signal?.throwIfAborted();
  reads.turn.now();
  const entry = reads.held.get(key);
  const found = entry === undefined ? undefined : { entry, tier: MEMORY };
  const outcome = served(reads, found, ask) ?? served(reads, await probe(reads, key, ask), ask);
  count(reads, key, outcome ?? { status: 'miss', tier: MEMORY });
  return outcome;
}

/** `found` as an answer, if it is fresh or stale and this caller accepts it. */
function served<V>(reads: Reads<V>, found: Found<V> | undefined, ask: Ask<V>): Outcome<V> | undefined {
  const entry = found === undefined ? undefined : reads.held.usable(found.entry);
  if (found === undefined || entry === undefined) return undefined;
  const state = freshness(entry, reads.clock.now());
  if (state !== 'fresh' && state !== 'stale') return undefined;
  const status = state === 'fresh' ? 'hit' : 'stale';
  const outcome: Outcome<V> = { entry, tier: found.tier, status, loaded: false, stored: true };
  return reads.clock.now() < entry.freshUntil + ask.read.maxStale ? outcome : undefined;
}

/** Reads storage for callers that want no load; they share one reading. */
async function probe<V>(reads: Reads<V>, key: string, ask: Ask<V>): Promise<Stored<V> | undefined> {
  const { probes, pending, storage, peers } = reads;
  if (storage === undefined && pending === undefined) return undefined;
  const current = probes.find(key);
  if (current !== undefined) {
    try {
      return await probes.subscribe(current, ask.read.signal);
    } catch (error) {
      if (error === LEADER_LOST) return probe(reads, key, ask);
      throw error;
    }
  }

  const flight = probes.open(key, undefined, true);
  if (flight instanceof Error) throw flight;
  const result = probes.subscribe(flight, ask.read.signal);
  probes.start(flight, async () => {
    const starting = peers?.start();
    if (starting !== undefined) await starting;
    const written = pending === undefined ? undefined : await pending(key);
    if (written !== undefined)
      return { entry: pendingEntryOf({ reads, key, lifetime: ask.lifetime }, written.value), tier: WRITES, depth: 0 };
    const found = await storage?.find<V>(key, undefined);
    if (found !== undefined && !flight.fenced && flight.end === undefined) promote(reads, key, found, ask);
    return found;
  });
  reads.deferred.holdRequest(flight, 'load', ask.read.waitUntil);
  return result;
}
