import type { Covers, Entry } from './entry.js';

declare global {
  /** For programs whose `lib` does not know `await using`. */
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

/** What callers of a cache have in common. Made by `requestScope`. */
export interface Scope {
  readonly kind: 'request';
  readonly [CONNECT]: unknown;
}

/** Under this name, what a user passes to a cache brings the implementation of its port. Known to all copies of the package. */
export const CONNECT = 'soloflight.connect';

/** A length of time: milliseconds as a number, or a string such as `'250ms'`, `'10s'`, `'5m'`, `'1h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/** A value, or a promise or thenable of it. */
export type MaybePromise<T> = T | PromiseLike<T>;

/** What invalidating a tag does to the entries that have it: makes them unusable, or stale. */
export type TagMode = 'invalidate' | 'expire';

/** Everything about time and chance. Passed in, so that a test can hold both still. */
export interface Clock {
  /** Wall clock, epoch milliseconds. May jump. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back. */
  monotonic(): number;
  /**
   * Calls `run` once after `ms` milliseconds and returns a function that cancels it.
   *
   * **For implementors:** must never keep the process alive, and must take any length, also beyond 2^31 ms.
   */
  after(ms: number, run: () => void): () => void;
  /** A number in [0, 1). */
  random(): number;
}

/**
 * The nearest tier: synchronous, inside the process, holding values by reference.
 *
 * **For implementors:** give back the very object you were given, never a copy. Dropping entries at any time is
 * allowed; that is how memory stays bounded.
 */
export interface MemoryTier<V> {
  /** The entry held for `key`. May count as a use of it. */
  get(key: string): Entry<V> | undefined;
  /** The entry held for `key`, without counting as a use of it. */
  peek(key: string): Entry<V> | undefined;
  /** Holds `entry`, replacing any previous one. */
  set(key: string, entry: Entry<V>): void;
  /** Drops `key` and tells whether it was held. */
  delete(key: string): boolean;
  clear(): void;
  /** Drops what is held for keys that begin with `prefix`. @default everything is dropped instead */
  deletePrefix?(prefix: string): void;
  /** Number of entries held. */
  readonly size: number;
  /** Number of entries dropped to stay within bounds, since construction. */
  readonly evictions?: number;
  /** Milliseconds that an entry is held at most, whatever its own life. The cache sees to it. @default as long as the entry lives */
  readonly ttl?: number | undefined;
}

/**
 * What an author of a storage tier writes: reads and writes of one storage, synchronous or asynchronous. {@link defineStorage}
 * makes a tier of it.
 *
 * For callers: a tier is never relied on. What it throws, what it takes too long for and what it returns in another
 * shape than {@link Entry} counts as a miss.
 *
 * **For implementors:** `get`, `set` and `delete` are enough. Keys are any strings, the empty one and ones with NUL
 * or lone surrogates included; they must never collide, nor reach a query as code. Never change an entry you are
 * given. Throw an {@link UndecodableError} for a payload that can't be decoded. Prove it with `storageSuite` from
 * `soloflight/testing`.
 *
 * @see {@link UndecodableError}
 */
export interface StorageAdapter {
  /** Shown in events, errors and the story of a read. */
  readonly name: string;
  /**
   * Whether the storage may lose what it holds before its time (a cache server that evicts).
   *
   * For callers: nothing there is believed then unless what would invalidate it (by tag, by `clear`) is known to be there, too.
   * The first entry with a tag that a process has not met before is loaded once more by who reads it from there.
   * @default false
   */
  readonly forgets?: boolean;
  /** The entry stored for `key`, or `undefined`. Must not reject for a missing key. May return an outlived entry. */
  get(key: string): MaybePromise<Entry | undefined>;
  /** Stores `entry` until at least `keepUntil` (epoch milliseconds, maybe `Infinity`), replacing any previous one. */
  set(key: string, entry: Entry, keepUntil: number): MaybePromise<void>;
  /** Removes `key`, and tells whether it was there where the storage knows. Removing an absent key is not an error. */
  delete(key: string): MaybePromise<boolean | void>;
  /** The entries for `keys`, in their order. */
  getMany?(keys: readonly string[]): MaybePromise<readonly (Entry | undefined)[]>;
  setMany?(writes: readonly StorageWrite[]): MaybePromise<void>;
  deleteMany?(keys: readonly string[]): MaybePromise<void>;
  /**
   * Stores `entry` unless the stored one has a later `startedAt`, in one atomic step, and tells whether it did.
   * At equal instants the new entry wins.
   */
  setIfNewer?(key: string, entry: Entry, keepUntil: number): MaybePromise<boolean>;
  /**
   * Tells the version of `key`, which every change of the key alters, and the stored entry if its `startedAt` is later than
   * `newerThan`.
   *
   * For callers: a load asks before it calls the upstream, and stores what it brings with {@link setIfVersion}: what others
   * changed meanwhile is not undone then.
   *
   * **For implementors:** `set`, `delete`, their `…Many`, `clear`, and `setIfVersion` with `change` alter the version, whoever
   * calls them, in one atomic step with the change, and never back to an earlier version. What a load brings leaves it alone:
   * `setIfVersion` without `change`, `setIfNewer`, `store` of a lease, `sweep`. A version that the storage has lost, by
   * eviction or a restart, must equal none that was told before. One altered without need costs no more than a load. Offer
   * both methods or neither.
   */
  version?(key: string, newerThan: number): MaybePromise<VersionAnswer>;
  /**
   * Stores `entry` if the version of `key` is still `version`, in one atomic step, and tells whether it did. It does not
   * either if the stored entry has a later `startedAt`, unless this is a `change`, which alters the version.
   */
  setIfVersion?(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): MaybePromise<boolean>;
  /**
   * Asks for the lease on `key` for `ms` milliseconds, so that of all processes only one loads it.
   *
   * Answers with the stored entry instead if its `startedAt` is later than `newerThan`: somebody else has loaded it
   * since it was read.
   *
   * **For implementors:** looking at the entry and taking the lease must be one atomic step. A lease ends by itself when
   * its time is over, by its own `store` or `release`, and by `set` or `delete` of the key, whoever calls them: a load
   * that started before these must not be stored after them. `setIfNewer` leaves it alone.
   */
  lease?(key: string, ms: number, newerThan: number): MaybePromise<LeaseAnswer>;
  /**
   * Calls `wake` whenever the lease on `key` may have ended, until the returned function is called.
   *
   * **For implementors:** a hint that saves those who wait from asking; it may come too often, late or never. Must
   * neither throw nor keep the process alive.
   */
  onLeaseEnd?(key: string, wake: () => void): () => void;
  /**
   * Calls `ready` whenever the storage can be reached again (its client says that it is connected), until the returned
   * function is called.
   *
   * **For implementors:** a hint that saves waiting; it may come too often, late or never. Must neither throw nor keep the
   * process alive.
   */
  onReady?(ready: () => void): () => void;
  /**
   * Calls `lost` whenever the storage may have gone back to an earlier state (restarted from a snapshot, failed over to a
   * replica), until the returned function is called.
   *
   * For callers: what was changed before may be undone in the storage, and versions told before may be valid there again.
   *
   * **For implementors:** while anybody listens, no read resolves with what may come from that earlier state before `lost`
   * was called. It may come without need. Must neither throw nor keep the process alive.
   */
  onLoss?(lost: () => void): () => void;
  /**
   * Tells some of the stored keys that begin with `prefix`, and where to go on.
   *
   * **For implementors:** in any order. About `limit` keys, or fewer, or none; only a page without a cursor is the last one. A
   * key that is there during the whole of a listing must be on one of its pages. Outlived entries may be told. Nothing that is
   * stored beside the entries (versions, leases) may be.
   */
  keys?(range: KeyRange): MaybePromise<KeyPage>;
  /** Removes everything this tier stores. */
  clear?(): MaybePromise<void>;
  /** Removes at most `limit` entries whose `keepUntil` is not after `now`, and returns how many. */
  sweep?(now: number, limit: number): MaybePromise<number>;
  /** Releases what the adapter itself opened. */
  close?(): MaybePromise<void>;
}

/**
 * A storage tier: an adapter with what guards a cache against its failures. Made by `defineStorage`, which every factory calls.
 *
 * It has the methods of its adapter, so that it can be wrapped, tested and used on its own.
 */
export interface StorageTier extends StorageAdapter {
  readonly [CONNECT]: unknown;
}

/** Which keys to tell. */
export interface KeyRange {
  /** What they begin with; `''` for all. */
  readonly prefix: string;
  /** How many at a time, ≥ 1. */
  readonly limit: number;
  /** The cursor of the page before. @default undefined: from the beginning */
  readonly cursor?: string | undefined;
}

/** Options of `TieredCache.keys`. */
export interface KeysOptions {
  /** What the keys begin with. @default '': all */
  readonly prefix?: string | undefined;
  /** Keys per page at most, an integer from 1 to 10,000. @default 1,000 */
  readonly limit?: number | undefined;
  /** The cursor of the page before. @default undefined: from the beginning */
  readonly cursor?: string | undefined;
}

/** Some keys, and where to go on. */
export interface KeyPage {
  readonly keys: readonly string[];
  /** Leads to the next page. `undefined` on the last one. */
  readonly cursor?: string | undefined;
}

/** One entry on its way into a storage tier. */
export interface StorageWrite {
  readonly key: string;
  readonly entry: Entry;
  readonly keepUntil: number;
}

/** A tier's answer to a request for a version. */
export interface VersionAnswer {
  /** Differs from every version that the key had before its last change. */
  readonly version: string;
  /** The stored entry, if it is newer than the one that the caller knows. */
  readonly entry?: Entry | undefined;
}

/** A tier's answer to a request for a lease: granted, not needed since there is a newer entry, or held by another process. */
export type LeaseAnswer =
  | { readonly kind: 'lease'; readonly lease: Lease }
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'held' }
  /** A load under a lease has ended without an entry a moment ago: nobody is to wait for the next one. */
  | { readonly kind: 'open' };

/** The right to load a key, until it ends. What comes after its end is refused, not an error. */
export interface Lease {
  /** Differs from that of every other lease, and shows which one it was in logs. */
  readonly token: string;
  /** Lets the lease last for `ms` milliseconds from now. `false`: it has ended. */
  renew(ms: number): MaybePromise<boolean>;
  /** Stores `entry` and ends the lease, in one atomic step. `false`: the lease had ended, or a newer entry is there; nothing is stored. */
  store(entry: Entry, keepUntil: number): MaybePromise<boolean>;
  /**
   * Ends the lease without an entry. `open`: its load is over. Those who waited for it are to load all at once, not one after
   * another.
   *
   * **For implementors:** with `open`, everybody who asks within the next half a second should be answered `open`. Where that
   * is not done, processes load one after another.
   */
  release(open?: boolean): MaybePromise<void>;
}

/**
 * Carries what changed from the process that changed it to the memory of all others. It carries keys, never values.
 *
 * For callers: a backplane is never relied on. What it loses costs staleness, no longer than entries stay fresh.
 *
 * **For implementors:** nothing is asked of the order of messages, nor that they arrive only once, nor that a sender
 * does not get its own. What counts is to notice when some may be missing. Prove it with `backplaneSuite` from
 * `soloflight/testing`.
 */
export interface BackplaneAdapter {
  /** Shown in events and errors. */
  readonly name: string;
  /** Hands `messages` to all who listen. Rejects if they are not known to be on their way; they then come again. */
  publish(messages: readonly BackplaneMessage[]): MaybePromise<void>;
  /**
   * Starts to listen, and resolves, with what ends it, when everything published from then on arrives.
   *
   * **For implementors:** one call per cache; a backplane may be shared by several. After a connection was lost, listen
   * again by yourself, and call `lost` when that is done. Don't keep the process alive.
   */
  subscribe(listener: BackplaneListener): MaybePromise<() => MaybePromise<void>>;
  /** Releases what the adapter itself opened. */
  close?(): MaybePromise<void>;
}

/** A backplane that a cache can use. Made by `defineBackplane`, which every factory calls. It has the methods of its adapter. */
export interface Backplane extends BackplaneAdapter {
  readonly [CONNECT]: unknown;
}

/** What a cache wants to be told by its backplane. */
export interface BackplaneListener {
  /** Takes one message. Never throws. */
  receive(message: BackplaneMessage): void;
  /** Messages may have been lost, and new ones arrive again. Never throws. */
  lost(): void;
}

/** What changed. Plain JSON data. */
export interface BackplaneMessage {
  /** Tells the cache that sent it from all others, in this process and elsewhere. */
  readonly origin: string;
  /** 1, 2, 3 … per origin. The same number means the same message. */
  readonly sequence: number;
  /**
   * The latest instant at which the message before this one was on its way, epoch milliseconds by the sender's clock. Who has
   * listened since, and has not got it, has lost it. Absent of the first message, and of senders of 0.1.0.
   */
  readonly previous?: number;
  readonly kind: 'set' | 'invalidate' | 'expire' | 'tags' | 'clear';
  /** Name of the cache, if it has one, and of its namespaces from the outermost to the innermost. */
  readonly space: readonly string[];
  /** The keys concerned: of `set`, `invalidate` and `expire`. */
  readonly keys?: readonly string[];
  /** The tags concerned: of `tags`. */
  readonly tags?: readonly string[];
  /** What happened to the tags: of `tags`. */
  readonly mode?: 'invalidate' | 'expire';
  /** What the keys concerned begin with: of `clear`, where it is not of all. */
  readonly prefix?: string;
  /** When it happened, epoch milliseconds by the sender's clock. Stays the same however late it is sent. */
  readonly at: number;
  /** Set while storage has not taken the change: what it holds for these keys is not to be believed. Told again without it when it has. */
  readonly pending?: true;
}

/**
 * Turns values into text or bytes and back, for storages that keep neither objects nor references.
 *
 * **For implementors:** `decode(encode(value))` must equal `value`, and must not be a thenable. Either may return a
 * promise, and either may throw or reject; a read then is a miss, a write is reported and dropped. A payload comes back
 * as what it was: text as text, bytes as a `Uint8Array`, which must be left as it is. Text must have a UTF-8 form.
 */
export interface Codec {
  /** Stored beside each payload; a payload of another codec is not decoded. */
  readonly name: string;
  encode(value: unknown): MaybePromise<string | Uint8Array>;
  decode(payload: string | Uint8Array): MaybePromise<unknown>;
}

/** Why a load happens: nothing usable was there, it is stale, or the caller asked for it. */
export type LoadReason = 'miss' | 'revalidate' | 'refresh';

/** What an upstream is told about the load it serves. */
export interface LoadContext<V> {
  readonly key: string;
  /** Aborts when nobody waits any more, or when the flight reaches `maxDuration`. */
  readonly signal: AbortSignal;
  readonly reason: LoadReason;
  /** The previous value, if there is one, for conditional requests. */
  readonly stale: StaleValue<V> | undefined;
  /** The cache's `getOrLoad` for calls nested in this load: a key that would wait for itself is an error, not a hang. */
  execute<T>(key: string, upstream: Upstream<T>): Promise<T>;
}

/** The value an entry held before the load. */
export interface StaleValue<V> {
  readonly value: V;
  readonly createdAt: number;
  readonly meta: unknown;
}

/**
 * The source of truth: loads the value of `key`.
 *
 * Called at most once at a time per key. `undefined` means that there is nothing. Return {@link Loaded} to control
 * how long the value lives.
 */
export type Upstream<V> = (key: string, load: LoadContext<V>) => MaybePromise<V | Loaded<V>>;

/**
 * An {@link Upstream} in the options of a cache, where `V` may have to be inferred from what it returns.
 *
 * The value of `load.stale` is `any`: TypeScript would otherwise settle `V` by the parameter, before it looks at the result.
 * `Loaded<never>` is `notModified()`, which says nothing of `V`.
 */
// oxlint-disable-next-line typescript/no-explicit-any
export type InferredUpstream<V> = (key: string, load: LoadContext<any>) => MaybePromise<V | Loaded<V> | Loaded<never>>;

/** Takes `set` and `update` of a cache to its source of truth. Made by `writeThrough`, or a `WriteBehind`, or `sharedWrites`. */
export interface Writes<V> {
  readonly [CONNECT]: { readonly takes?: (value: V) => V };
}

/**
 * What a cache uses of a `WriteBehind` from `soloflight/writes`, or of `sharedWrites` from `soloflight/browser`: accepts its
 * writes, and tells which are still pending.
 */
export interface PendingWrites<V> {
  open(): Promise<void>;
  peek(key: string): MaybePromise<{ readonly kind: 'put' | 'delete'; readonly value?: V } | undefined>;
  put(key: string, value: V, options: { readonly signal: AbortSignal }): Promise<void>;
  delete(key: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Where there is none, the result of an update is put like any other value, and merged with what is pending. */
  update?(
    key: string,
    fn: (current: V | undefined) => V,
    options: { readonly signal: AbortSignal; readonly current: () => Promise<V | undefined> },
  ): Promise<V>;
  on(
    type: 'accept' | 'restore' | 'deliver' | 'conflict' | 'dead-letter' | 'discard' | 'queue-error',
    listener: (event: { readonly key?: string; readonly error?: unknown }) => void,
  ): () => void;
}

/** How long after the ttl a stored value stands in for a failed load, and for which failures. */
export interface StaleIfError {
  readonly for: Duration;
  /**
   * Tells which failures are covered, timeouts included. A failure that is not covered reaches the caller, and ends the life of the
   * stored value. If this throws, or does not return a boolean, nothing is covered. @default all failures
   */
  readonly when?: Covers | undefined;
}

/** What an upstream may say about a value beside the value itself. Absent options come from the cache's own. */
export interface LoadControl {
  readonly ttl?: Duration;
  /** Cuts the ttl, whoever says it, to this: the value comes from another cache and is fresh no longer there. */
  readonly maxTtl?: Duration;
  readonly staleWhileRevalidate?: Duration;
  /** `when` holds as long as the value is in memory. Where storage brings it back, it does not stand in for failed loads any more. */
  readonly staleIfError?: Duration | StaleIfError;
  /** Replace the tags of the cache's options. */
  readonly tags?: readonly string[];
  /** Small JSON data kept with the entry and handed to the next load as `stale.meta`. */
  readonly meta?: unknown;
  /** `false` hands the value to the waiting callers and stores it nowhere. */
  readonly store?: false;
}

/** A loaded value with its control, made by `loaded()` or `notModified()`. */
export interface Loaded<V> {
  readonly kind: 'loaded' | 'not-modified';
  readonly value: V | undefined;
  readonly control: LoadControl;
}

/** A write on its way to a sink, as a {@link WriteQueue} keeps it. Plain data, but for what the user put in as `value`. */
export interface QueuedWrite {
  /** Stays the same as long as the write lives. No two writes have the same. */
  readonly id: string;
  /** Tells which of two writes comes first. An integer ≥ 0. */
  readonly sequence: number;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  /** `undefined` for a delete. */
  readonly value: unknown;
  /** Epoch milliseconds at which the value was last changed. */
  readonly at: number;
  /** Deliveries begun. From the first on, the sink may have seen the write. */
  readonly attempts: number;
  /** Conflicts that changed the value. */
  readonly revision: number;
  /** Milliseconds between the first and the last attempt, as far as processes lived. */
  readonly triedFor: number;
  /** Whether the value was made of what was pending before it, so that nothing is merged into that. */
  readonly whole: boolean;
  /** Set when the write is a dead letter. */
  readonly dead: DeadReason | undefined;
  /** The last of the calls that made the write, by the ids that their callers gave them, if they gave any. */
  readonly calls?: readonly string[] | undefined;
}

/** Why a write is not delivered any more. */
export interface DeadReason {
  /** The sink rejected it, it conflicted and nothing resolves that, or its retries are used up. */
  readonly cause: 'rejected' | 'conflict' | 'exhausted';
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/**
 * Where accepted writes live until a sink has taken them.
 *
 * For callers: one `WriteBehind` at a time owns a queue. Its calls may overlap, but never two that change the same write.
 * Where a queue has `own`, two owners are told apart; a queue without it trusts its callers.
 *
 * **For implementors:** a write is a row with its `id`, kept or replaced by `put` and gone with `remove`; dead letters are
 * those with `dead` set. When `put` or `remove` resolves, or returns nothing, the change is as durable as the queue can
 * make it. Either all of a call is stored or none, where the storage can do that; a process may end at any moment, in
 * the middle of a call too. `load` and `listDead` give an `UndecodableError` in place of a write that can't be decoded,
 * and leave it stored. Never change a write you are given. Prove it with `writeQueueSuite` from `soloflight/testing`.
 */
export interface WriteQueue {
  /** Shown in events and errors. */
  readonly name: string;
  /** All writes that are no dead letters, in any order. */
  load(): MaybePromise<readonly (QueuedWrite | Error)[]>;
  /**
   * Keeps `writes`, replacing those with the same `id`. No two have the same.
   *
   * **For implementors:** if there is no room, fail with an error whose `code` is `SOLOFLIGHT_STORAGE_FULL`: what is kept is
   * then delivered all the same, to make room.
   */
  put(writes: readonly QueuedWrite[]): MaybePromise<void>;
  /** Forgets the writes with these ids, dead letters included. One that is not there is not an error. */
  remove(ids: readonly string[]): MaybePromise<void>;
  /** All dead letters, in any order. */
  listDead(): MaybePromise<readonly (QueuedWrite | Error)[]>;
  /**
   * Makes `owner`, a text that no other owner has, the owner for `ms` milliseconds. Returns nothing while another one is,
   * unless `takeOver`. Asked again by the owner itself, renews.
   *
   * **For implementors:** looking at the owner and becoming it must be one atomic step, also among processes, and so must
   * looking at the owner and each change of `Ownership.put` and `remove`. Go by the clock of the storage, if it has one.
   */
  own?(owner: string, ms: number, takeOver: boolean): MaybePromise<Ownership | undefined>;
  /** Forgets everything: writes, dead letters, what can't be read, and the owner, which thereby has lost the queue. */
  wipe?(): MaybePromise<void>;
  /** Whether the writes end with the process, so that pending ones keep it alive. @default false */
  readonly volatile?: boolean;
  /** Releases what the queue itself opened. */
  close?(): MaybePromise<void>;
}

/**
 * The right to change a queue, until another owner has it. Time alone does not end it: it only lets others take it.
 *
 * **For implementors:** calls of a former owner change nothing, and fail with code `SOLOFLIGHT_QUEUE_OWNED`.
 */
export interface Ownership {
  /** As `WriteQueue.put`. */
  put(writes: readonly QueuedWrite[]): MaybePromise<void>;
  /** As `WriteQueue.remove`. */
  remove(ids: readonly string[]): MaybePromise<void>;
  /** Forgets everything but the owner. Where it is absent, only what can be read is removed. */
  wipe?(): MaybePromise<void>;
  /** Lets nobody else be the owner for `ms` more milliseconds. Resolves to `false` if somebody is. Absent where owners need not say that they live. */
  renew?(ms: number): MaybePromise<boolean>;
  /** Ends it. Not an error for a former owner, and changes nothing then. */
  release(): MaybePromise<void>;
}
