import type { StorageOutcome } from './base/events.js';
import type { Isolation } from './base/isolation.js';
import type { Schema } from './base/schema.js';
import type {
  BackplaneAdapter,
  BackplaneMessage,
  Clock,
  KeyPage,
  KeysOptions,
  MemoryTier,
  StorageAdapter,
  TagMode,
} from './contracts.js';
import type { Entry, HeldEntry } from './entry.js';
import type { Claims } from './flights/claims.js';
import type { Held } from './marks/held.js';
import type { Namespace } from './marks/namespace.js';
import type { TagMarks } from './marks/tags.js';

/** An entry and the name of the tier it came from. */
export interface Found<V> {
  readonly entry: HeldEntry<V>;
  readonly tier: string;
}

/** An entry of a storage tier. */
export interface Stored<V> extends Found<V> {
  /** Place of the tier among the storage tiers, the nearest being 0. */
  readonly depth: number;
  /** What the nearer tiers said before this one was read, so that they may take the entry over. */
  readonly permit?: LoadPermit | undefined;
}

/** How an entry is to be stored. */
export interface PutOptions {
  /** Whether the entry replaces one that must not be served any more, so that a failed write becomes a removal. */
  readonly keep: boolean;
  /** Delays the write; reads see the entry at once all the same. */
  readonly after?: Promise<unknown>;
  /** What the tiers said before the load began. A tier that compares versions stores nothing without it. */
  readonly permit?: LoadPermit | undefined;
  /** Whether this is the user's own change of the key: what others change at the same time comes before or after it. */
  readonly change?: boolean;
  /** Stores in the tiers nearer than this one only. @default all */
  readonly above?: number;
  /** Called whenever a tier that missed it has taken it after all. */
  readonly later?: (() => void) | undefined;
}

/** The storage of one cache or namespace. Nothing here rejects: a failing tier is a missing tier. */
export interface StoragePort {
  /** Whether a tier is not asked at present, since it keeps failing. */
  readonly isAway: boolean;
  /** Whether what the tiers hold for `key` is not believed: another process has changed it, and storage has yet to be told. */
  doubts(key: string): boolean;
  /** The first servable entry newer than `known`, else the newest one that may serve as a fallback. */
  find<V>(key: string, known: Found<V> | undefined): Promise<Stored<V> | undefined>;
  /** Stores `entry` if it is still allowed to. */
  store(key: string, entry: HeldEntry<unknown>, options: PutOptions): Promise<StorageReport>;
  /** Removes `key`. `later` is called whenever a tier that missed it has taken it after all. */
  remove(key: string, later?: () => void): Promise<StorageReport>;
  /** Makes entries stale or unusable without touching them: one key, those with some tags, or all. */
  mark(mark: StorageMark, later?: () => void): Promise<StorageReport>;
  /** Tells keys of usable entries, of the furthest tier that can. Rejects where none can, or that one fails. */
  keys(range: KeysOptions): Promise<KeyPage>;
  /**
   * Asks before a load what storing its result takes. Resolves with the permit to load, with what another process has loaded
   * meanwhile, or with neither: then what is loaded goes into tiers without versions only. Absent where no tier compares.
   */
  readonly prepare?: (<V>(seeker: TurnSeeker<V>) => Promise<Turn<V> | undefined>) | undefined;
}

/** What storage needs to know of a change made by another process. */
export type RemoteChange = Pick<BackplaneMessage, 'origin' | 'sequence' | 'at' | 'pending'>;

/** How storage has taken a change. */
export interface StorageReport {
  /** Whether a tier is known to have held what was removed. */
  readonly held: boolean;
  /** Whether all tiers have taken it. */
  readonly taken: boolean;
}

/** What makes stored entries stale or unusable. `at`: what was loaded later is none of them, epoch milliseconds. */
export type StorageMark =
  | { readonly kind: 'expire'; readonly key: string; readonly at: number }
  /** Another process has changed `key`. What storage holds for it is not believed while it has yet to be told of that change. */
  | { readonly kind: 'elsewhere'; readonly key: string; readonly change: RemoteChange }
  | { readonly kind: 'tags'; readonly tags: readonly string[]; readonly mode: TagMode; readonly at: number }
  /** Of keys that begin with `prefix`; of all if there is none. */
  | { readonly kind: 'clear'; readonly at: number; readonly prefix?: string };

/** A flight that is about to load. */
export interface TurnSeeker<V> {
  readonly key: string;
  /** Whether what another process has loaded will do, and is waited for. */
  readonly shares: boolean;
  /** Aborts when the flight is given up. */
  readonly signal: AbortSignal;
  /** Whether a stale entry will do. */
  readonly takesStale: boolean;
  /** Whether nobody wants the turn any more. */
  readonly isOver: () => boolean;
  /** The stored value to answer with if the load fails. A better one found on the way takes its place. */
  fallback: Found<V> | undefined;
  /** Called if others changed the key while it was being loaded: what was loaded is not to be kept. */
  readonly refused: () => void;
}

/** What came of seeking a turn: the right to load, or what another process has loaded. */
export type Turn<V> =
  | { readonly kind: 'load'; readonly permit: LoadPermit }
  | { readonly kind: 'found'; readonly stored: Stored<V> };

/** What storage tiers said before a load began. What it brings is stored only if nobody has changed the key since. */
export interface LoadPermit {
  /**
   * Gives back the fleet's lease; `undefined` if there is none, or if it has ended: an entry stored under it ends it. `open`: the
   * load is over, and those who wait for it are to load all at once.
   */
  release(open?: boolean): Promise<unknown> | undefined;
}

/** Callers that share no I/O context: the request of each may end without a trace, and takes its I/O with it. */
export interface ScopePort {
  /** Tells whether the leaders of flights are still there. */
  claims(clock: Clock, maxDuration: number): Claims;
  /** `isolation` for values that other requests are to see. */
  isolation(isolation: Isolation): Isolation;
  /** `reason`, for which a load failed, as other requests may have it. */
  reason(reason: unknown): unknown;
  /** The writes on their way to a storage tier. */
  outbox(options: OutboxOptions): OutboxPort;
  /** Keeps the caller's request going for `work`, where the platform offers that. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

/** What a tier said of a key before a load, and what storing the result goes by: a lease or a version. */
export interface Condition {
  /** How often the tier had lost its state when it answered. */
  readonly losses: number;
  /** Stores `entry` unless others have changed the key since, and tells whether it did. Not if it is older than the stored one, unless it `replaces` that. */
  store(entry: Entry, replaces: boolean): Promise<boolean>;
}

/** The other processes. */
export interface PeersPort {
  /** A promise while messages of others may still be missed. Never rejects. */
  start(): Promise<void> | undefined;
  /** Tells the others what was done here. Never rejects. */
  tell(news: Omit<BackplaneMessage, 'origin' | 'sequence' | 'previous'>): Promise<void>;
  /** The memory tier, as what others may have done leaves it. */
  watch<V>(memory: MemoryTier<V>): MemoryTier<V>;
  close(): Promise<void>;
}

/** The value of a key as pending writes will leave it: `undefined` as a value is nothing. */
export interface Taken<V> {
  readonly value: V | undefined;
}

/** What storage needs to know of the cache that uses it, and whom it tells. */
export interface StorageContext {
  readonly clock: Clock;
  /** Deadlines of tiers that have none of their own, milliseconds. */
  readonly readTimeout: number;
  readonly writeTimeout: number;
  /** How long a load waits for its turn, milliseconds; 0 turns leases off. */
  readonly leaseWait: number;
  readonly scope: ScopePort | undefined;
  /** What the cache loads its values with, as its user gave it. */
  readonly source: object | undefined;
  readonly marks: TagMarks;
  /** How far clocks of processes may be apart, milliseconds. */
  readonly clockSkew: number;
  /** A stored value as the cache keeps it. */
  readonly keep: <T>(value: T) => T;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
  readonly report: (failure: TierFailure) => void;
  /** Told how operations of tiers went, while anybody wants to know. */
  readonly metering: Metering;
  /** Told of each change that a tier has missed and is to be told of again. `key`: as stored. */
  readonly missed: (tier: string, key: string) => void;
}

/** Who wants to know how operations of storage tiers go. */
export interface Metering {
  readonly wanted: () => boolean;
  readonly tell: (tier: string, operation: string, outcome: StorageOutcome, durationMs: number) => void;
}

/** A failure of a tier. */
export interface TierFailure {
  readonly tier: string;
  readonly operation: string;
  readonly key?: string;
  readonly error: unknown;
}

/** The storage tiers of a cache with all its namespaces. */
export interface StorageRoom {
  /** The storage of one namespace. `now`: the wall clock that its hits go by. */
  open(space: Namespace, now: () => number): StoragePort;
  /** Changes that a tier has missed and is still to be told of. */
  readonly pending: number;
  /** The tiers and their state, for people. */
  readonly summary: string;
  close(): Promise<void>;
}

/** What `defineStorage` adds to an adapter. */
export interface StorageConnector {
  readonly settings: TierSettings;
  /** Told of each cache without a name that opens the tier, with what it loads by. Gives what ends that. May throw. */
  readonly enter: (tier: string, source: object | undefined) => () => void;
  /** The storage made of `tiers`, nearest first. */
  readonly connect: (tiers: readonly ConnectedTier[], context: StorageContext) => StorageRoom;
}

/** One tier as it was passed to a cache. */
export interface ConnectedTier {
  /** Has the methods that are called: those of a copy or a stand-in of a tier count. */
  readonly adapter: StorageAdapter;
  readonly connector: StorageConnector;
}

/** What belongs to one tier, checked and parsed. `undefined`: the cache's own. */
export interface TierSettings {
  /** Which of its values are believed. */
  readonly shape: { readonly schema?: Schema | undefined; readonly version?: string | number | undefined };
  readonly ttl: number | undefined;
  readonly readTimeout: number | undefined;
  readonly writeTimeout: number | undefined;
}

/** What peers need to know of the cache that tells them, and whom they tell. */
export interface PeersContext {
  readonly clock: Clock;
  /** How far clocks of processes may be apart, milliseconds. */
  readonly clockSkew: number;
  /** Deadline of one attempt to publish or to listen, milliseconds. */
  readonly timeout: number;
  /** Whether a caller may vanish without a trace, and what it waits for with it. */
  readonly mayVanish: boolean;
  /** Does to memory and flights what `message` says was done elsewhere. */
  readonly apply: (message: BackplaneMessage) => void;
  /** Called when messages were lost: what is under way may be out of date. */
  readonly doubt: () => void;
  readonly report: (failure: TierFailure) => void;
}

/** What `defineBackplane` adds to an adapter. */
export interface PeersConnector {
  readonly connect: (adapter: BackplaneAdapter, context: PeersContext) => PeersPort;
}

/** What writes need to know of the cache that they are for. */
export interface WritesContext<V> {
  readonly clock: Clock;
  readonly held: Held<V>;
  readonly isolation: Isolation;
  /** Deadline of a question what is pending, and of a write, milliseconds. */
  readonly readTimeout: number;
  readonly maxDuration: number;
  readonly scope: ScopePort | undefined;
  /** Detaches everything under way for `key`. */
  readonly fence: (key: string) => void;
  readonly invalidate: (key: string) => Promise<unknown>;
  readonly expire: (key: string) => Promise<unknown>;
  /** Takes work that `close` waits for. */
  readonly background: (work: Promise<unknown>) => void;
  readonly report: (key: string, error: unknown) => void;
}

/** What `writeThrough`, `WriteBehind` and `sharedWrites` bring. */
export interface WritesConnector<V> {
  /** Says which values it takes; never called. */
  readonly takes?: (value: V) => V;
  readonly connect: (context: WritesContext<V>) => WritesPort<V>;
}

/** Writes on their way to the upstream. */
export interface WritesPort<V> {
  /** What pending writes will make of `key`. Absent where nothing is ever pending. Never rejects. */
  readonly pending?: ((key: string) => Promise<Taken<V> | undefined>) | undefined;
  /** Writes `value` to the upstream and then into the tiers, or into none of them if the upstream fails. */
  write(cell: WriteCell<V>, value: V): Promise<void>;
  /** Writes what `change` makes of the current value, and resolves with it. */
  update(cell: WriteCell<V>, change: (current: V | undefined) => V): Promise<V>;
  close(): void;
}

/** One key of a cache, as a write to the upstream needs it. */
export interface WriteCell<V> {
  readonly key: string;
  /** The value there is now, loaded if need be. */
  readonly current: () => Promise<V | undefined>;
  /** The entry that `value` would be. */
  readonly entryOf: (value: V) => HeldEntry<V>;
  /** Puts `value` into the tiers. */
  readonly set: (value: V) => Promise<void>;
}

/** What storage is to hold for a key. `keep`: until it does, what it holds now must not be served. */
export type Intent =
  | {
      readonly kind: 'put';
      readonly entry: Entry;
      readonly keep: boolean;
      readonly after: Promise<unknown> | undefined;
      /** Whether to store it again if it was refused: what it replaces may stay, as long as this comes. */
      readonly marker?: boolean;
      /** Whether it is joined with the marker that is there. */
      readonly joins?: boolean;
      /** What storing it goes by. */
      readonly condition?: Condition | undefined;
      /** Whether it is the user's own change of the key. */
      readonly change?: boolean | undefined;
    }
  | { readonly kind: 'remove'; readonly keep: true }
  | { readonly kind: 'expire'; readonly at: number; readonly keep: true };

/** How a write went. */
export interface WriteOutcome {
  readonly done: boolean;
  /** Whether storage is known to have held what was removed. */
  readonly held: boolean;
  /** The write itself where it missed its deadline: until this settles, it may still reach storage. */
  readonly late: Promise<unknown> | undefined;
}

/** The circumstances of one attempt at a write. */
export interface Attempt {
  /** Whether nothing else is intended meanwhile. */
  readonly wanted: () => boolean;
  /** Whether the write was refused before. */
  readonly replay: boolean;
}

/** What an outbox needs to know. */
export interface OutboxOptions {
  readonly clock: Clock;
  /** Deadline of one write, milliseconds. */
  readonly writeTimeout: number;
  /** Takes work nobody waits for. It never rejects. */
  readonly background: (work: Promise<void>) => void;
  /** Told of each key that storage missed a change of. */
  readonly missed?: ((key: string) => void) | undefined;
  /** Told when storage has missed more than can be kept: everything it holds is suspect. */
  readonly overflown?: () => void;
  /** Makes one attempt, within the deadline, never rejecting. */
  readonly write: (key: string, intent: Intent, attempt: Attempt) => Promise<WriteOutcome>;
}

/** The writes on their way to one storage tier. */
export interface OutboxPort {
  /** Number of keys that wait for a replay. */
  readonly kept: number;
  /** What storage is to hold for `key`, unless it is sure to hold that already. */
  intentFor(key: string): Intent | undefined;
  /** Whether storage has missed a change of `key` that somebody was told of, and has yet to take it. */
  lacks(key: string): boolean;
  /** What a read is to find where storage answered `entry`. `before` was intended when storage was asked. */
  corrected(key: string, entry: Entry | undefined, before: Intent | undefined): Entry | undefined;
  /**
   * Notes `wish`, which reads see from now on, and resolves with how it went, or once storage has taken nothing for as long as
   * a write may take. `later` is called if storage takes it only after that.
   */
  intend(key: string, wish: Intent, later?: () => void): Promise<WriteOutcome>;
  /** Resolves when nothing is being written for `key`. Never rejects. */
  written(key: string): Promise<void>;
  /** Shows reads no entry that is on its way for `key`: another process has changed the key since. */
  hide(key: string): void;
  /** Believes nothing that was stored before now: the tier may have gone back to an earlier state. */
  distrust(): void;
  /** Starts a replay in the background, unless one is under way or was a moment ago. */
  replaySoon(): void;
  /** Tries everything that was refused once more, as long as storage takes any of it. */
  replay(): Promise<void>;
  /** Waits for what is under way, makes a last attempt at what was refused, and lets go of everything. */
  close(): Promise<void>;
}
