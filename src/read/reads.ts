import type { TurnClock } from '../base/clock.js';
import type { Events } from '../base/events.js';
import type { Isolation } from '../base/isolation.js';
import type { Clock, Duration, LoadReason, Upstream } from '../contracts.js';
import type { HeldEntry } from '../entry.js';
import type { CacheFlights } from '../flights/cache-flights.js';
import type { Flight } from '../flights/flight.js';
import type { Held } from '../marks/held.js';
import type { TagMarks } from '../marks/tags.js';
import type { LoadPermit, Found, PeersPort, ScopePort, StoragePort, Stored, WritesPort } from '../ports.js';
import type { Deferred } from './deferred.js';
import type { Failures } from './failures.js';
import type { LifetimeSettings } from './lifetime.js';
import type { Answer, Outcome, Role } from './outcome.js';
import type { ReadSettings } from './read-options.js';
import type { RefreshAhead } from './refresh-ahead.js';
import type { Counters } from './stats.js';

/** What the files of this room share, one per cache or namespace. Made by `cache/wiring.ts`. */
export interface Reads<V> {
  readonly rules: ReadRules;
  readonly clock: Clock;
  /** The wall clock for memory hits, at most one turn of the event loop old. */
  readonly turn: TurnClock;
  readonly held: Held<V>;
  readonly marks: TagMarks;
  readonly flights: Flights<V>;
  /** Reads of storage by callers that want no load. */
  readonly probes: CacheFlights<string, Stored<V> | undefined>;
  readonly failures: Failures;
  /** `undefined` without storage, peers, writes: whatever is missing costs nothing. */
  readonly storage: StoragePort | undefined;
  readonly peers: PeersPort | undefined;
  readonly pending: WritesPort<V>['pending'];
  readonly scope: ScopePort | undefined;
  readonly deferred: Deferred;
  readonly events: Events;
  readonly counters: Counters;
  /** Whether the cache takes no more work. */
  readonly life: { readonly closed: boolean };
  /** Whether nothing about this cache asks for a look at what a flight brings before it is handed out. */
  readonly isPatient: boolean;
  /** What a `get` without options asks for, and what it gets. */
  readonly plain: Ask<V>;
  readonly values: Face<V, V>;
  readonly stories: Face<V, Answer<V>>;
  /** The inside of a flight. */
  readonly fly: (flight: CacheFlight<V>) => Promise<Outcome<V>>;
  /** A read from inside the load that `parent` runs. */
  readonly nested: <T>(parent: CacheFlight<V>, key: string, upstream: Upstream<T>) => Promise<T>;
}

/** The options that reads go by. Durations are milliseconds. */
export interface ReadRules {
  readonly absentTtl: number;
  readonly errorTtl: number | ((error: unknown) => Duration);
  readonly refreshAhead: RefreshAhead | undefined;
  readonly jitter: number;
  readonly isolation: Isolation;
  readonly softTimeout: number;
  readonly writeBack: 'defer' | 'await';
}

/** One read, as asked for. */
export interface Ask<V> {
  readonly upstream: Upstream<V> | undefined;
  readonly lifetime: LifetimeSettings<V>;
  readonly read: ReadSettings;
  readonly reason: LoadReason;
  /** The flight whose load makes this read, where that is known. */
  readonly parent?: CacheFlight<V>;
  /**
   * Set where it is made for a flight that was fenced while it read storage; true from the second time on, and then
   * storage is spared: invalidations may come faster than it answers.
   */
  readonly tried?: boolean;
}

type Flights<V> = CacheFlights<string, Outcome<V>, Journey<V>, V>;
export type CacheFlight<V> = Flight<string, Outcome<V>, Journey<V>, V>;

/** What a caller gets of an answer: the value alone, or its story. */
export interface Face<V, A> {
  /** Of an entry in memory. */
  readonly hit: (entry: HeldEntry<V>, status: 'hit' | 'stale') => Promise<A>;
  /** Of a flight that the caller has just led or joined, and takes as it comes. */
  readonly seat: (flights: Flights<V>, flight: CacheFlight<V>, role: Role) => Promise<A>;
  /** Of the flight that a rush of callers joins; `undefined` where a closer look is needed. */
  readonly again: (reads: Reads<V>, flight: CacheFlight<V>) => Promise<A> | undefined;
  /** Of an answer that the caller had conditions for. */
  readonly answer: (answer: Promise<Answer<V>>) => Promise<A>;
}

/** The notes of the cache about one of its flights. */
export interface Journey<V> {
  readonly ask: Ask<V>;
  /** The epoch of {@link TagMarks} when the flight was opened. */
  readonly epoch: number;
  /** The stored value to answer with if the load fails or is too slow. Settled when the upstream is called. */
  fallback: Found<V> | undefined;
  /** Monotonic instant at which the upstream was called. */
  loadSince: number | undefined;
  /** What was loaded, also while it still waits for storage. */
  made: Outcome<V> | undefined;
  /** Callers that took the flight's own promise of a value: they are counted when it settles. */
  readers: number;
  /** What storage said before the upstream was called. */
  permit: LoadPermit | undefined;
  /** Callers whose patience ended before a fallback was known. */
  impatient: (() => void)[] | undefined;
}
