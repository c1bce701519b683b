import { checkObject } from '../base/checks.js';
import { isEventType, type CacheEvent } from '../base/events.js';
import { isThenable, rejection, silenced } from '../base/promises.js';
import { applyRemote, fenceAll, type Changes } from '../change/changes.js';
import { clear, expire, invalidate, invalidateTags } from '../change/invalidate.js';
import { set } from '../change/set.js';
import type { KeyPage, KeysOptions, LoadContext, Loaded, MaybePromise, TagMode, Upstream } from '../contracts.js';
import { freshness } from '../entry.js';
import { CacheClosedError, misuse } from '../errors.js';
import { Namespace } from '../marks/namespace.js';
import type { WriteCell } from '../ports.js';
import { problemWith } from '../read/answering.js';
import { getMany, lookupMany } from '../read/get-many.js';
import { inspect, type Inspection } from '../read/inspect.js';
import { resolveLifetime, type LifetimeOptions, type LifetimeSettings } from '../read/lifetime.js';
import { lookup, refresh } from '../read/lookup.js';
import { writtenEntry } from '../read/new-entry.js';
import { storyOf, type Answer, type Lookup, type LookupOutcome } from '../read/outcome.js';
import { lookupCached } from '../read/probe.js';
import { resolveRead, type ReadOptions } from '../read/read-options.js';
import type { Ask, CacheFlight } from '../read/reads.js';
import type { CacheStats } from '../read/stats.js';
import { wrap, type Wrapped, type WrappedFunction, type WrapOptions, type WrapPort } from '../read/wrap.js';
import { resolveCacheOptions, type InferredOptions, type TieredCacheOptions, type TypedOptions } from './options.js';
import type { ReadableCache } from './readable-cache.js';
import { NamespaceViews } from './views.js';
import { share, wire, type Elsewhere, type Life, type Shared, type Verbs, type Wired } from './wiring.js';

/** A longer prefix is cut: storage notes it. */
const MOST_OF_PREFIX = 1_000;

/** What a namespace has from the cache it belongs to. */
interface Whole<V> {
  readonly shared: Shared<V>;
  readonly views: NamespaceViews<TieredCache<V>>;
  readonly space: Namespace;
  readonly life: Life;
}

/**
 * A cache over an upstream: memory, then storage, then one coalesced load.
 *
 * Reads never fail because a tier does. Nothing is read after an `invalidate` or `set` that was there before it.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 *
 * const posts = new TieredCache<string>({
 *   ttl: '10s',
 *   staleWhileRevalidate: '1m',
 *   upstream: async (id) => `post ${id}`,
 * });
 * console.log(await posts.get('1')); // post 1
 * ```
 */
export class TieredCache<V> implements ReadableCache<V> {
  readonly #wired: Wired<V>;
  readonly #shared: Shared<V>;
  readonly #views: NamespaceViews<TieredCache<V>>;
  /** Whether this is no namespace of another cache. */
  readonly #isWhole: boolean;
  readonly #life: Life;
  /** That of the cache whose namespace this is, or its own. */
  readonly #wholeLife: Life;
  #closing: Promise<void> | undefined;

  /**
   * Touches nothing outside the process: no file, socket or timer.
   *
   * @throws TypeError for an option that makes no sense.
   */
  constructor(options: TypedOptions<V>);
  constructor(options: InferredOptions<V>);
  constructor(options: TieredCacheOptions<V> | InferredOptions<V> | undefined, whole?: Whole<V>) {
    this.#isWhole = whole === undefined;
    this.#life = { closed: whole?.life.closed ?? false };
    this.#wholeLife = whole?.life ?? this.#life;
    this.#views = whole?.views ?? new NamespaceViews();
    this.#shared = whole?.shared ?? share(resolveCacheOptions(options as TieredCacheOptions<V>), this.#elsewhere);
    this.#wired = wire(this.#shared, { ...this.#verbs, life: this.#life }, whole?.space);
    Object.defineProperty(this, Symbol.for('nodejs.util.inspect.custom'), { value: () => String(this) });
  }

  /**
   * The value for `key`: fresh or stale from a tier, else loaded once for all who ask meanwhile.
   *
   * Resolves with `undefined` when the upstream says that there is nothing.
   *
   * @throws the load's own error where no stored value may stand in, {@link FlightTimeoutError},
   * {@link CallerTimeoutError}, {@link TooManySubscribersError}, {@link TooManyFlightsError},
   * {@link ReentrantFlightError}, {@link CacheClosedError}, or the signal's reason.
   */
  get(key: string, options?: ReadOptions): Promise<V> {
    const { reads } = this.#wired;
    if (options === undefined && !reads.rules.isolation.perCaller) return lookup(reads, key, reads.plain, reads.values);
    return guarded(async () => this.#give(await lookup(reads, key, this.#ask(options), reads.values)));
  }

  /**
   * Like {@link get}, loading from `upstream` if this call leads the load. Lifetimes given here override the cache's.
   * With `reload: true` the tiers don't answer, as with {@link refresh}.
   */
  getOrLoad<T extends V>(
    key: string,
    upstream: Upstream<T>,
    options: ReadOptions & LifetimeOptions<T> & { readonly reload?: boolean } = {},
  ): Promise<T> {
    return guarded(async () => {
      const { reads } = this.#wired;
      const ask = this.#askFor(upstream, options);
      return this.#give(
        (await (options.reload === true ? refresh(reads, key, ask) : lookup(reads, key, ask, reads.values))) as T,
      );
    });
  }

  /** What memory or storage can serve for `key`, stale included, or `undefined`. Never loads. */
  getIfCached(key: string, options?: ReadOptions): Promise<V | undefined> {
    return guarded(async () =>
      this.#give((await lookupCached(this.#wired.reads, key, this.#ask(options)))?.entry.value),
    );
  }

  /** What memory can serve for `key` right now. Synchronous, no side effects, not counted. */
  peek(key: string): V | undefined {
    const { held, turn } = this.#wired.reads;
    const entry = held.look(key);
    if (entry === undefined) return undefined;
    const state = freshness(entry, turn.now());
    return state === 'fresh' || state === 'stale' ? this.#give(entry.value) : undefined;
  }

  /**
   * What is known of `key`: its state, where it is, how old, and why it is not loaded just now. Never loads, promotes or counts.
   *
   * @throws TypeError unless `key` is a string, as a rejection.
   */
  inspect(key: string): Promise<Inspection> {
    return guarded(async () => {
      const { reads } = this.#wired;
      const problem = problemWith(reads, key);
      if (problem !== undefined) throw problem;
      return inspect(reads, key);
    });
  }

  /**
   * Keys of this namespace that storage has a usable entry for, some at a time: go on with the `cursor` of a page until one has
   * none. Costs a listing and the reading of the entries on the page; loads and counts nothing.
   *
   * In no order. Keys that are there all the while are told; of those that come or go meanwhile, any; from Redis some maybe twice.
   *
   * @throws TypeError for options that make no sense, and where no storage tier can list its keys; the failure of the storage.
   */
  keys(options: KeysOptions = {}): Promise<KeyPage> {
    return guarded(() => {
      this.#checkAll('key', []);
      const { storage } = this.#wired.changes;
      if (storage === undefined) throw misuse('storage', 'set for `keys`: memory is not listed', storage);
      return storage.keys(options);
    });
  }

  /** Like {@link get}, with the story of the read. */
  lookup(key: string, options?: ReadOptions): Promise<Lookup<V>> {
    const { reads } = this.#wired;
    return guarded(async () => this.#story(await lookup(reads, key, this.#ask(options), reads.stories)));
  }

  /**
   * The values for `keys`, in their order; `undefined` where there is nothing. Each key is read as by {@link get}, those
   * that miss in one reading of storage and one `loadMany`.
   *
   * @throws {@link SomeKeysFailedError} naming the keys that failed; the others are cached all the same.
   */
  getMany(keys: readonly string[], options?: ReadOptions): Promise<(V | undefined)[]> {
    return guarded(async () =>
      this.#giveAll(await getMany(this.#wired.reads, this.#checkAll('key', checkList(keys)), this.#ask(options))),
    );
  }

  /** Like {@link getMany}, with the story of each read, or its failure. Rejects only for bad arguments. */
  lookupMany(keys: readonly string[], options?: ReadOptions): Promise<LookupOutcome<V>[]> {
    return guarded(async () => {
      const settled = await lookupMany(this.#wired.reads, this.#checkAll('key', checkList(keys)), this.#ask(options));
      return settled.map((end, index): LookupOutcome<V> => {
        const key = keys[index]!;
        return 'error' in end ? { key, status: 'failed', error: end.error } : { key, ...this.#story(end) };
      });
    });
  }

  /** Stores several values as by {@link set}; of equal keys the last wins. */
  setMany(entries: Iterable<readonly [string, V]>, options: LifetimeOptions<V> = {}): Promise<void> {
    return guarded(async () => {
      const writes = [...new Map(entries)].map(([key, value]) => this.set(key, value, options));
      await Promise.all(writes);
    });
  }

  /** Stores `value` in all tiers, after writing it to the upstream if the cache has `writes`. Loads that started earlier never overwrite it. Resolves when storage has it, or can't be reached. */
  set(key: string, value: V, options: LifetimeOptions<V> = {}): Promise<void> {
    return guarded(async () => {
      this.#checkAll('key', [key]);
      if (isThenable(value)) throw misuse('value', 'a value, not a promise of one: `await` it first', value);
      const cell = this.#cell(key, this.#lifetime(options), undefined);
      await (this.#wired.writes?.write(cell, value) ?? cell.set(value));
    });
  }

  /**
   * Writes what `change` makes of the current value, by the option `writes`, and resolves with it when that is done.
   *
   * Readers get the new value at once. If the write fails, they get the old one back, as a stale one, and this rejects
   * with the failure. The current value is a fresh one, loaded if need be, unless `maxStale` allows more; `undefined` if
   * there is nothing. Updates and writes of a key wait for each other. `change` must not alter the value it is given.
   *
   * Over a `WriteBehind`, `change` is called when the write is accepted, with what is pending then, and its result
   * replaces that. Over `sharedWrites` the result is put like any other value: with a `merge` if another tab may have
   * written meanwhile.
   *
   * @throws TypeError without `writes`, what `change` throws, the failure of the write or of a load,
   * {@link FlightTimeoutError} for a write that takes longer than `maxDuration`.
   */
  update(
    key: string,
    change: (current: V | undefined) => V,
    options: ReadOptions & LifetimeOptions<V> = {},
  ): Promise<V> {
    return guarded(async () => {
      this.#checkAll('key', [key]);
      if (typeof change !== 'function') throw misuse('change', 'a function', change);
      const { writes } = this.#wired;
      if (writes === undefined) throw misuse('writes', 'set for `update`: where does the new value go?', writes);
      const cell = this.#cell(key, this.#lifetime(options), { maxStale: 0, ...options });
      return this.#give(await writes.update(cell, change));
    });
  }

  /**
   * Brings what a load that began after this call brings. While an older load runs, all refreshes of the key wait for it and
   * share the next one. The stored value stands in only if that fails, or the caller's `timeout` ends before it, and
   * `staleIfError` allows. `softTimeout` does not apply.
   */
  refresh(key: string, options?: ReadOptions): Promise<V> {
    return guarded(async () => {
      return this.#give(await refresh(this.#wired.reads, key, this.#ask(options)));
    });
  }

  /**
   * Makes what is stored for the key or keys unusable, from this call on; resolves with whether any tier held one.
   *
   * Loads under way still answer those who asked before, and are not stored. A storage tier that can't be reached is
   * told later, and its old value is not served meanwhile.
   */
  invalidate(key: string | readonly string[]): Promise<boolean> {
    return guarded(() => invalidate(this.#wired.changes, this.#checkAll('key', listOf(key))));
  }

  /** Makes what is stored for the key or keys stale, from this call on, and keeps it as a fallback. */
  expire(key: string | readonly string[]): Promise<void> {
    return guarded(() => expire(this.#wired.changes, this.#checkAll('key', listOf(key))));
  }

  /**
   * Makes all values that have one of these tags unusable, from this call on; with `mode: 'expire'` stale, and kept as
   * fallbacks. Costs the same however many values there are.
   *
   * Resolves when storage knows, so that other processes and a restarted one do, or when it can't be reached and will
   * be told later. Loads under way still answer those who asked before. Reaches this namespace only.
   */
  invalidateTags(tags: string | readonly string[], options: { readonly mode?: TagMode } = {}): Promise<void> {
    return guarded(() => {
      checkObject('options', options);
      const { mode = 'invalidate' } = options;
      if (mode !== 'invalidate' && mode !== 'expire') throw misuse('mode', "'invalidate' or 'expire'", mode);
      return invalidateTags(this.#wired.changes, this.#checkAll('tag', listOf(tags)), mode);
    });
  }

  /**
   * Makes everything unusable, from this call on, here and for every process that reads the same storage. Costs the same
   * however much there is; storage lets go of the old entries as they are outlived. Leaves other namespaces alone.
   */
  clear(): Promise<void> {
    return guarded(() => {
      this.#checkAll('key', []);
      return clear(this.#wired.changes);
    });
  }

  /**
   * {@link clear} for the keys that begin with `prefix`: makes them unusable, from this call on, here and for every process that reads
   * the same storage. Loads of such keys under way answer those who asked before, and are not stored. `''` is all keys.
   *
   * Costs the same however many there are in storage; those in memory are walked, about 0.1 ms per thousand. Storage notes 64
   * prefixes per namespace, of 1,000 characters each. Beyond that it notes what the two oldest have in common, which makes more keys
   * miss that were loaded before these calls, never fewer.
   */
  invalidatePrefix(prefix: string): Promise<void> {
    return guarded(() => clear(this.#wired.changes, this.#checkAll('prefix', [prefix])[0]!.slice(0, MOST_OF_PREFIX)));
  }

  /**
   * A view of this cache with keys, tags, statistics, events and a `clear()` of its own, over the same tiers, upstream and
   * options. The same name gives the same view.
   *
   * Keys never meet those of another namespace, whatever the names. The upstream is told the key alone: where it has to
   * know the namespace, use `getOrLoad`. Memory's bounds and `maxFlights` hold for all together, failures of storage are
   * told by the cache itself, and closing the cache closes its namespaces.
   *
   * @throws TypeError unless `name` is a non-empty string, and for a cache with `writes`.
   */
  namespace(name: string): TieredCache<V> {
    if (typeof name !== 'string' || name === '') throw misuse('name', 'a non-empty string', name);
    if (this.#shared.settings.writes !== undefined)
      throw misuse('namespace', 'not used with `writes`: put the name into the key', name);
    const space = this.#wired.changes.space.inner(name);
    const whole: Whole<V> = {
      shared: this.#shared,
      views: this.#views,
      space,
      life: this.#wholeLife,
    };
    return this.#views.get(space.id, () => new View(undefined, whole));
  }

  /**
   * A cached version of `fn`: one execution at a time per arguments, the result kept as any other.
   *
   * Keys contain the name and every argument, so that forgetting a parameter is impossible; see {@link keyOf} for what
   * arguments may be. `this` is handed on to `fn` and is no part of the key.
   *
   * @throws TypeError for a function without a name, unless `name` is given.
   */
  wrap<A extends unknown[], R extends V>(
    fn: (...args: [...A, LoadContext<R>]) => MaybePromise<R | Loaded<R>>,
    options: WrapOptions<A, R> & { readonly withLoad: true },
  ): Wrapped<A, R>;
  wrap<F extends (...args: never[]) => MaybePromise<V>>(
    fn: F,
    options?: WrapOptions<Parameters<F>, Awaited<ReturnType<F>>> & { readonly withLoad?: false },
  ): WrappedFunction<F>;
  wrap<A extends unknown[], R extends V>(
    fn: (...args: A) => MaybePromise<R>,
    options?: WrapOptions<A, R>,
  ): Wrapped<A, R>;
  wrap<A extends unknown[], R extends V>(
    fn: (...args: never[]) => unknown,
    options: WrapOptions<A, R> = {},
  ): Wrapped<A, R> {
    const port: WrapPort<R> = {
      get: (key, upstream, lifetime) => this.getOrLoad(key, upstream, lifetime),
      lookup: async (key, upstream, lifetime) => {
        const { reads } = this.#wired;
        return this.#story(await lookup(reads, key, this.#askFor(upstream, lifetime), reads.stories)) as Lookup<R>;
      },
      refresh: (key, upstream, lifetime) => this.getOrLoad(key, upstream, { ...lifetime, reload: true }),
      invalidate: (key) => this.invalidate(key),
      clear: (prefix) => this.invalidatePrefix(prefix),
      set: (key, value, lifetime) => this.set(key, value, lifetime as LifetimeOptions<V>),
      expire: (key) => this.expire(key),
    };
    return wrap(port, fn, options);
  }

  /** Calls `listener` for every event of `type`; the returned function ends that. What a listener throws becomes an `error` event. */
  on<T extends CacheEvent['type']>(type: T, listener: (event: Extract<CacheEvent, { type: T }>) => void): () => void {
    if (!isEventType(type)) throw misuse('type', 'the name of an event', type);
    if (typeof listener !== 'function') throw misuse('listener', 'a function', listener);
    return this.#wired.reads.events.on(type, listener);
  }

  /** Counts since construction, and the state of now. Cheap enough to poll. */
  getStats(): CacheStats {
    const { counters, held, flights } = this.#wired.reads;
    const { memory } = held;
    return counters.snapshot({
      pendingInvalidations: this.#shared.storage?.pending ?? 0,
      evictions: memory.evictions ?? 0,
      size: memory.size,
      inFlight: flights.live,
      flights: flights.getStats(),
    });
  }

  /** Resolves when no flight and no deferred work is left. */
  async idle(): Promise<void> {
    const { deferred } = this.#wired.reads;
    const maps = (): { readonly live: number; idle(): Promise<void> }[] =>
      this.#parts().flatMap(({ reads }) => [reads.flights, reads.probes]);
    while (deferred.size > 0 || maps().some(({ live }) => live > 0)) {
      await Promise.all([deferred.idle(), ...maps().map((map) => map.idle())]);
    }
  }

  /** Takes no new work, waits until {@link idle}, and closes the storage adapters. Calling it twice is not an error. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** One line, which `console.log` of Node shows, too. */
  toString(): string {
    const { size, inFlight } = this.getStats();
    const name = this.#wired.changes.space.path.join('/');
    const tiers = this.#shared.storage?.summary ?? 'no storage';
    return `${this.constructor.name} '${name}' (${size} in memory, ${inFlight} flights, ${tiers})`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const parts = this.#parts();
    for (const { life, reads } of parts) {
      life.closed = true;
      reads.flights.rush = undefined;
    }
    this.#emptyMemory();
    await this.idle();
    this.#emptyMemory();
    for (const { reads, writes } of parts) {
      reads.failures.clear();
      reads.flights.rest();
      reads.probes.rest();
      writes?.close();
    }
    if (this.#isWhole) {
      await this.#shared.peers?.close();
      await this.#shared.storage?.close();
    }
    for (const { reads } of parts) reads.events.clear();
    this.#views.forget(this.#wired.changes.space.id, this);
  }

  #emptyMemory(): void {
    if (this.#isWhole) this.#shared.memory.clear();
    else this.#wired.reads.held.clear();
  }

  /** What closes with this cache: its own parts, and those of the namespaces if it is the whole. */
  #parts(): Wired<V>[] {
    const inner = this.#isWhole ? this.#views.alive() : [];
    return [this.#wired, ...inner.map((view) => view.#wired)];
  }

  readonly #verbs: Omit<Verbs<V>, 'life'> = {
    nested: <T>(parent: CacheFlight<V>, key: string, work: Upstream<T>) =>
      guarded(async () => {
        const { reads } = this.#wired;
        const ask = { ...this.#askFor<V>(work as never, {}), parent };
        return this.#give(await lookup(reads, key, ask, reads.values)) as T;
      }),
    hasNamespaces: () => this.#isWhole && this.#views.used,
  };

  /** What to do when other processes have changed something, or may have. */
  readonly #elsewhere: Elsewhere = {
    apply: (message) => {
      const changes = this.#changesAt(message.space);
      if (changes !== undefined) applyRemote(changes, message);
    },
    doubt: () => {
      for (const { changes } of this.#parts()) fenceAll(changes);
    },
  };

  /** The namespace at `path`, to be changed; `undefined` for one of another cache. */
  #changesAt(path: readonly string[]): Changes<V> | undefined {
    const own = this.#shared.settings.space;
    if (own.some((name, index) => path[index] !== name)) return undefined;
    if (path.length === own.length) return this.#wired.changes;
    const space = new Namespace(path);
    // Memory may hold entries of a namespace that nobody uses any more, or not yet again.
    const view = this.#views.find(space.id);
    return (view === undefined ? wire(this.#shared, { ...this.#verbs, life: this.#life }, space) : view.#wired).changes;
  }

  /** One key, for a write. */
  #cell(key: string, lifetime: LifetimeSettings<V>, read: ReadOptions | undefined): WriteCell<V> {
    const { reads, changes } = this.#wired;
    const parts = { reads, key, lifetime };
    return {
      key,
      current: async () => {
        const ask = { ...this.#ask(read), lifetime };
        if (ask.upstream !== undefined) return lookup(reads, key, ask, reads.values);
        return (await lookupCached(reads, key, ask))?.entry.value;
      },
      entryOf: (value) => writtenEntry(parts, value),
      set: (value) => set(changes, key, writtenEntry(parts, value)),
    };
  }

  #lifetime(options: LifetimeOptions<V>): LifetimeSettings<V> {
    const { lifetime } = this.#shared.settings;
    return resolveLifetime(options, options.ttl ?? lifetime.ttl, lifetime);
  }

  #ask(options: ReadOptions | undefined): Ask<V> {
    const { plain } = this.#wired.reads;
    return options === undefined ? plain : { ...plain, read: resolveRead(options) };
  }

  #askFor<T extends V>(upstream: Upstream<T>, options: ReadOptions & LifetimeOptions<T>): Ask<V> {
    if (typeof upstream !== 'function') throw misuse('upstream', 'a function', upstream);
    const lifetime = this.#lifetime(options as LifetimeOptions<V>);
    return { upstream: upstream as never, lifetime, read: resolveRead(options), reason: 'miss' };
  }

  /** A kept value as this caller gets it. */
  #give<T>(value: T): T {
    return this.#shared.settings.rules.isolation.give(value);
  }

  #giveAll<T>(values: T[]): T[] {
    return this.#shared.settings.rules.isolation.perCaller ? values.map((value) => this.#give(value)) : values;
  }

  #story(answer: Answer<V>): Lookup<V> {
    const story = storyOf(answer, this.#shared.settings.clock.now());
    return { ...story, value: this.#give(story.value) };
  }

  #checkAll(name: 'key' | 'tag' | 'prefix', list: readonly string[]): readonly string[] {
    for (const item of list) if (typeof item !== 'string') throw misuse(name, 'a string', item);
    if (this.#life.closed) throw new CacheClosedError(name === 'key' ? list[0] : undefined);
    return list;
  }
}

/** Runs `call` now; whatever it throws is a rejection that needs no handler. */
function guarded<T>(call: () => Promise<T>): Promise<T> {
  try {
    return silenced(call());
  } catch (error) {
    return rejection(error);
  }
}

/** The same class, made the way that is not for the public. */
const View: new <V>(options: undefined, whole: Whole<V>) => TieredCache<V> = TieredCache as never;

function listOf(key: string | readonly string[]): readonly string[] {
  return Array.isArray(key) ? key : [key as string];
}

function checkList(keys: readonly string[]): readonly string[] {
  if (!Array.isArray(keys)) throw misuse('keys', 'an array of strings', keys);
  return keys;
}
