import { freshness, isSameLoad, isStorable, type HeldEntry } from '../entry.js';
import { LEADER_LOST } from '../flights/claims.js';
import type { Found, LoadPermit, Stored, TurnSeeker } from '../ports.js';
import { announceFallback, load, writeBack } from './load.js';
import { board } from './lookup.js';
import { pendingEntryOf } from './new-entry.js';
import { MEMORY, type Outcome } from './outcome.js';
import type { CacheFlight, Reads } from './reads.js';
import { promote, storeBehind } from './write-back.js';

/** What a story names as the tier of a value that was written and that the upstream does not have yet. */
export const WRITES = 'writes';

/**
 * The inside of a flight: pending writes, then storage, then the upstream.
 *
 * A flight that is fenced while it waits for pending writes, storage or its turn loads nothing: the flight after it does, for both (D36).
 */
export async function fly<V>(reads: Reads<V>, flight: CacheFlight<V>): Promise<Outcome<V>> {
  // The backplane must listen before anything is put into memory (D49).
  const starting = reads.peers?.start();
  if (starting !== undefined) await starting;
  if (reads.pending !== undefined) {
    // What this process has written and not delivered yet is newer than what storage or the upstream has.
    const written = await pendingEntry(reads, flight);
    if (isFenced(flight)) return follow(reads, flight);
    if (written !== undefined) return landWritten(reads, flight, written);
  }
  const { ask, fallback } = flight.detail;
  const { storage } = reads;
  if (storage === undefined || ask.tried === true) return load(reads, flight, fallback);
  if (ask.reason !== 'miss' && fallback !== undefined) return loadPermitted(reads, flight, fallback);

  const stored = await storage.find(flight.key, fallback);
  if (isFenced(flight)) return follow(reads, flight);
  if (stored === undefined) return loadPermitted(reads, flight, fallback);
  const state = freshness(stored.entry, reads.clock.now());
  if (state !== 'gone' && flight.end === undefined) promote(reads, flight.key, stored, ask);
  if (ask.reason !== 'miss' || state === 'expired' || state === 'gone') return loadPermitted(reads, flight, stored);
  return landStored(stored, state);
}

/** Loads for `flight`, unless another process does: then it brings what that one has loaded. */
async function loadPermitted<V>(
  reads: Reads<V>,
  flight: CacheFlight<V>,
  found: Found<V> | undefined,
): Promise<Outcome<V>> {
  const { key, detail: journey } = flight;
  const { storage, failures } = reads;
  // Where nothing is going to be loaded, nothing needs to be asked.
  const asks = storage?.prepare !== undefined && journey.ask.upstream !== undefined && flight.end === undefined;
  const isSpared = journey.ask.reason !== 'refresh' && failures.active(key) !== undefined;
  if (!asks || isSpared) return load(reads, flight, found);

  journey.fallback = found;
  announceFallback(journey);
  const turn = await storage.prepare(seekerOf(reads, flight));
  const permit = turn?.kind === 'load' ? turn.permit : undefined;
  if (isFenced(flight)) {
    // Before the flight that takes its place asks for the same.
    giveBack(reads, permit);
    return follow(reads, flight);
  }
  try {
    if (turn?.kind !== 'found' || flight.end !== undefined) {
      journey.permit = permit;
      return await load(reads, flight, journey.fallback);
    }
    promote(reads, key, turn.stored, journey.ask);
    return landStored(turn.stored, freshness(turn.stored.entry, reads.clock.now()));
  } finally {
    // One that was given up has not ended: somebody else is to take its place.
    giveBack(reads, permit, flight.end === undefined);
  }
}

function giveBack<V>({ deferred }: Reads<V>, permit: LoadPermit | undefined, isOver = false): void {
  const released = permit?.release(isOver);
  if (released !== undefined) deferred.add(released, 'write-back');
}

function seekerOf<V>(reads: Reads<V>, flight: CacheFlight<V>): TurnSeeker<V> {
  const { key, detail } = flight;
  return {
    key,
    // Made only for those who ask for it.
    get signal() {
      return flight.signal;
    },
    // `refresh` wants a load that begins now (D47).
    shares: detail.ask.reason !== 'refresh',
    takesStale: detail.ask.reason === 'miss',
    isOver: () => flight.fenced || flight.end !== undefined,
    get fallback() {
      return detail.fallback;
    },
    set fallback(found) {
      detail.fallback = found;
    },
    // Another process has changed the key since the load began, so memory must not keep the result either (D46).
    refused: () => {
      if (isSameLoad(reads.held.peek(key), detail.made?.entry)) reads.held.drop(key);
    },
  };
}

/** What the flight after a fenced one brings. If there is none, this leads it; the second time, one that skips storage (D36). */
async function follow<V>(reads: Reads<V>, flight: CacheFlight<V>): Promise<Outcome<V>> {
  const { ask } = flight.detail;
  // What memory has by now came after the fence.
  const entry = ask.reason === 'revalidate' ? reads.held.peek(flight.key) : undefined;
  if (entry !== undefined && freshness(entry, reads.clock.now()) === 'fresh')
    return { entry, tier: MEMORY, status: 'hit', loaded: false, stored: true };
  const next = { ...ask, read: { ...ask.read, signal: flight.signal }, tried: ask.tried !== undefined };
  for (;;) {
    const result = board(reads, flight.key, next, (other) => reads.flights.subscribe(other, flight.signal, ask.parent));
    if (result instanceof Error) throw result;
    try {
      return await result;
    } catch (error) {
      if (error !== LEADER_LOST) throw error;
    }
  }
}

/** The entry that pending writes will make of the key of `flight`. */
async function pendingEntry<V>(reads: Reads<V>, { key, detail }: CacheFlight<V>): Promise<HeldEntry<V> | undefined> {
  const written = await reads.pending?.(key);
  return written && pendingEntryOf({ reads, key, lifetime: detail.ask.lifetime }, written.value);
}

function landWritten<V>(reads: Reads<V>, flight: CacheFlight<V>, entry: HeldEntry<V>): Outcome<V> {
  const stored = reads.held.usable(entry) === entry && writeBack(reads, flight, entry, isStorable(entry));
  if (stored) void storeBehind(reads, flight, entry);
  return { entry, tier: WRITES, status: 'miss', loaded: true, stored };
}

function landStored<V>({ entry, tier }: Stored<V>, state: string): Outcome<V> {
  return { entry, tier, status: state === 'fresh' ? 'hit' : 'stale', loaded: false, stored: true };
}

/** Whether an invalidation or a `set` came and somebody still waits for `flight`: one that has ended follows nobody. */
function isFenced<V>({ fenced, end }: CacheFlight<V>): boolean {
  return fenced && end === undefined;
}
