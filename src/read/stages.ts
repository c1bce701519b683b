import type { TurnClock } from '../base/clock.js';
import type { Coherence } from '../fleet/coherence.js';
import type { Clock, LoadReason, MemoryTier, Upstream } from '../contracts.js';
import type { Deferred } from './deferred.js';
import type { HeldEntry } from '../entry.js';
import type { Events } from '../base/events.js';
import type { Failures } from './failures.js';
import type { FlightMap } from '../flights/flight-map.js';
import type { Flight } from '../flights/flight.js';
import type { LifetimeSettings } from './lifetime.js';
import type { Namespace } from '../marks/namespace.js';
import type { NamespacedTier } from '../tiers/namespaced-tier.js';
import type { CacheSettings } from '../cache/options.js';
import type { ReadSettings } from './read-options.js';
import type { RefreshAhead } from './refresh-ahead.js';
import type { Counters } from './stats.js';
import type { GuardedLease } from '../tiers/guarded-lease.js';
import type { TagMarks } from '../marks/tags.js';
import type { WriteLanes } from '../pending/write-lanes.js';

/** Everything that the stages of a cache share. Made once, by `wiring.ts`. */
export interface Stages<V> {
  readonly settings: CacheSettings<V>;
  readonly clock: Clock;
  /** The wall clock for memory hits, at most one turn of the event loop old. */
  readonly turn: TurnClock;
  /** Another one once a cache that has namespaces was cleared. */
  memory: MemoryTier<V>;
  /** Empties it of the entries of this namespace. */
  readonly clearMemory: () => void;
  /** Nearest first. */
  readonly tiers: readonly NamespacedTier[];
  /** Keeps memory in step with other processes, if there is a backplane. */
  readonly coherence: Coherence | undefined;
  /** The tier on which leases are taken, if any tier offers that and the cache wants them. */
  readonly leasing: Leasing | undefined;
  /** Where the keys of this cache are in storage. */
  readonly space: Namespace;
  /** What was invalidated by tag. */
  readonly marks: TagMarks;
  readonly flights: FlightMap<string, V, Journey<V>>;
  /** Reads of storage by callers that want no load. */
  readonly probes: FlightMap<string, Stored<V> | undefined>;
  readonly failures: Failures;
  readonly deferred: Deferred;
  /** Writes on their way to the upstream. */
  readonly lanes: WriteLanes;
  readonly events: Events;
  readonly counters: Counters;
  readonly isClosed: () => boolean;
  /** The key that leads the rush, if any: what its many callers need is one comparison away. */
  readonly rush: Rush<V>;
  /** How fresh entries are reloaded ahead, if they are: one field to look at on the hot path. */
  readonly ahead: RefreshAhead | undefined;
  /** What a plain `get` asks for. */
  readonly plain: Ask<V>;
  /** Starts a flight. Made once, so that a flight need not make a function of its own. */
  readonly start: (flight: CacheFlight<V>) => void;
  /** A read from inside the load that `parent` runs. */
  readonly nested: <T>(parent: CacheFlight<V>, key: string, upstream: Upstream<T>) => Promise<T>;
}

/** A storage tier with leases, and its place among the storage tiers. */
export interface Leasing {
  readonly tier: NamespacedTier;
  readonly depth: number;
}

/** The `miss` flight joined last by a plain reader. Plain readers of its key may join without looking any further. */
interface Rush<V> {
  flight: CacheFlight<V> | undefined;
}

/** One read, as asked for. */
export interface Ask<V> {
  readonly upstream: Upstream<V> | undefined;
  readonly lifetime: LifetimeSettings<V>;
  readonly read: ReadSettings;
  /** The flight whose load makes this read, where that is known. */
  readonly parent?: CacheFlight<V>;
  /**
   * Set where it is made for a flight that was fenced while it read storage; true from the second time on, and then
   * storage is spared: invalidations may come faster than it answers.
   */
  readonly tried?: boolean;
}

/** An entry and the name of the tier it came from. */
export interface Tiered<V> {
  readonly entry: HeldEntry<V>;
  readonly tier: string;
}

/** An entry of a storage tier. */
export interface Stored<V> extends Tiered<V> {
  /** Place of the tier among the storage tiers, the nearest being 0. */
  readonly depth: number;
}

/** How a read can end: fresh from a tier, stale from a tier, loaded, or a stored value instead of a failed load. */
export type Status = 'hit' | 'stale' | 'miss' | 'fallback';

/** What a flight brings to all its subscribers. */
export interface Outcome<V> extends Tiered<V> {
  readonly status: Status;
  /** Whether the upstream was called for it. */
  readonly loaded: boolean;
  /** Whether the entry went into the tiers. */
  readonly stored: boolean;
  /** Why there is a fallback. */
  readonly error?: unknown;
}

export type CacheFlight<V> = Flight<string, V, Journey<V>>;

/** What the cache notes beside a flight. */
export interface Journey<V> {
  readonly reason: LoadReason;
  readonly ask: Ask<V>;
  /** Of {@link TagMarks} when the flight was opened. */
  readonly epoch: number;
  /** The stored value to answer with if the load fails or is too slow. Settled when the upstream is called. */
  fallback: Tiered<V> | undefined;
  /** Monotonic instant at which the upstream was called. */
  loadSince: number | undefined;
  /** The same in epoch milliseconds, and the epoch of {@link TagMarks} at it. Mean nothing before. */
  startedAt: number;
  loadEpoch: number;
  /** What the flight brings, set before it settles; with a load, also while it still waits for storage. */
  outcome: Outcome<V> | undefined;
  /** Plain readers: each takes the flight's own promise, and is counted when it settles. */
  readers: number;
  /** The lease under which the upstream is called. */
  lease: GuardedLease | undefined;
  /** Callers whose patience ended before a fallback was known. */
  impatient: (() => void)[] | undefined;
}

export function createJourney<V>(
  reason: LoadReason,
  ask: Ask<V>,
  fallback: Tiered<V> | undefined,
  epoch: number,
): Journey<V> {
  return {
    reason,
    ask,
    epoch,
    fallback,
    loadSince: undefined,
    startedAt: 0,
    loadEpoch: 0,
    outcome: undefined,
    readers: 0,
    lease: undefined,
    impatient: undefined,
  };
}

/** Notes what `flight` brings, and gives the value it settles with. What comes after its end is late and ignored. */
export function land<V>(flight: CacheFlight<V>, outcome: Outcome<V>): V {
  if (flight.outcome === undefined || flight.outcome === 'timedOut') flight.detail.outcome ??= outcome;
  return outcome.entry.value as V;
}
