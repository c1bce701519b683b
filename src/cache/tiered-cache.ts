import type { Answer } from '../read/answer.js';
import { isThenable, type MaybePromise, type Upstream } from '../contracts.js';
import { freshness, type HeldEntry } from '../entry.js';
import { CacheClosedError, misuse } from '../errors.js';
import { isEventType, type CacheEvent } from '../base/events.js';
import { rejection, silenced } from '../flights/flight.js';
import { getMany, lookupMany } from '../read/get-many.js';
import { usable } from '../read/held.js';
import { get } from '../read/hot-path.js';
import { clear, drop, expire, invalidate, invalidateTags, set } from '../change/invalidate.js';
import { resolveLifetime, type LifetimeOptions } from '../read/lifetime.js';
import { lookup, refresh } from '../read/lookup.js';
import { NamespaceViews } from './views.js';
import { Namespace, type TagMode } from '../marks/namespace.js';
import { checkObject } from '../base/checks.js';
import { resolveCacheOptions, type TieredCacheOptions } from './options.js';
import { lookupCached } from '../read/probe.js';
import { resolveRead, type ReadOptions, type ReadSettings } from '../read/read-options.js';
import { applyRemote, doubtFlights } from '../fleet/remote.js';
import type { Ask, Stages } from '../read/stages.js';
import type { CacheStats } from '../read/stats.js';
import { storyOf, type Lookup, type LookupOutcome } from '../read/story.js';
import { share, wireCache, wireNamespace, type Shared } from './wiring.js';
import { wrap, type Wrapped, type WrapOptions, type WrapPort } from '../read/wrap.js';
import { update, write } from '../pending/write-path.js';

/** What a namespace has from the cache it belongs to. */
interface Whole<V> {
  readonly shared: Shared<V>;
  readonly views: NamespaceViews<TieredCache<V>>;
  readonly space: Namespace;
  readonly isClosed: () => boolean;
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
export class TieredCache<V> {
  readonly #stages: Stages<V>;
  readonly #shared: Shared<V>;
  readonly #views: NamespaceViews<TieredCache<V>>;
  /** Whether this is no namespace of another cache. */
  readonly #isWhole: boolean;
  readonly #isWholeClosed: () => boolean;
  #closing: Promise<void> | undefined;
  /** Ends the look at what becomes of pending writes. */
  readonly #unwatch: (() => void) | undefined;

  /**
   * Touches nothing outside the process: no file, socket or timer.
   *
   * @throws TypeError for an option that makes no sense.
   */
  constructor(options: TieredCacheOptions<V>);
  constructor(options: TieredCacheOptions<V> | undefined, whole?: Whole<V>) {
    this.#isWhole = whole === undefined;
    this.#isWholeClosed = whole?.isClosed ?? (() => false);
    this.#views = whole?.views ?? new NamespaceViews();
    this.#shared = whole?.shared ?? share(resolveCacheOptions(options as TieredCacheOptions<V>), this.#elsewhere);
    this.#stages =
      whole === undefined
        ? wireCache(this.#shared, this.#verbs, () => this.#views.used)
        : wireNamespace(this.#shared, this.#verbs, whole.space);
    this.#unwatch = this.#shared.settings.writes?.watch((key, restored) => {
      this.#stages.lanes.outrun(key);
      // What storage has of it may be that very write. Reads ask for what is pending before they look there.
      if (restored) drop(this.#stages, key);
      else void silenced(invalidate(this.#stages, [key]));
    });
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
    if (options === undefined && !this.#stages.settings.isolation.perCaller)
      return get(this.#stages, key, this.#stages.plain);
    return this.#value(() => lookup(this.#stages, key, this.#ask(options)));
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
    const read = options.reload === true ? refresh : lookup;
    return this.#value(() => read(this.#stages, key, this.#askFor(upstream, options))) as Promise<T>;
  }

  /** What memory or storage can serve for `key`, stale included, or `undefined`. Never loads. */
  getIfCached(key: string, options?: ReadOptions): Promise<V | undefined> {
    return guarded(async () =>
      this.#give((await lookupCached(this.#stages, key, this.#ask(options)))?.outcome.entry.value),
    );
  }

  /** What memory can serve for `key` right now. Synchronous, no side effects, not counted. */
  peek(key: string): V | undefined {
    const entry = this.#stages.memory.peek(key) as HeldEntry<V> | undefined;
    const held = entry === undefined ? undefined : usable(this.#stages, entry);
    if (held === undefined) return undefined;
    const state = freshness(held, this.#stages.turn.now());
    return state === 'fresh' || state === 'stale' ? this.#give(held.value) : undefined;
  }

  /** Like {@link get}, with the story of the read. */
  lookup(key: string, options?: ReadOptions): Promise<Lookup<V>> {
    return guarded(async () => this.#story(await lookup(this.#stages, key, this.#ask(options))));
  }

  /**
   * The values for `keys`, in their order; `undefined` where there is nothing. Each key is read as by {@link get}, those
   * that miss in one reading of storage and one `loadMany`.
   *
   * @throws {@link SomeKeysFailedError} naming the keys that failed; the others are cached all the same.
   */
  getMany(keys: readonly string[], options?: ReadOptions): Promise<(V | undefined)[]> {
    return guarded(async () =>
      this.#giveAll(await getMany(this.#stages, this.#checkKeys(checkList(keys)), this.#ask(options))),
    );
  }

  /** Like {@link getMany}, with the story of each read, or its failure. Rejects only for bad arguments. */
  lookupMany(keys: readonly string[], options?: ReadOptions): Promise<LookupOutcome<V>[]> {
    return guarded(async () => {
      const settled = await lookupMany(this.#stages, this.#checkKeys(checkList(keys)), this.#ask(options));
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
      this.#checkKeys([key]);
      if (isThenable(value)) throw misuse('value', 'a value, not a promise of one: `await` it first', value);
      const { lifetime, writes } = this.#stages.settings;
      const settings = resolveLifetime(options, options.ttl ?? lifetime.ttl, lifetime);
      await (writes === undefined
        ? set(this.#stages, key, value, settings)
        : write(this.#stages, writes, key, value, settings));
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
      this.#checkKeys([key]);
      if (typeof change !== 'function') throw misuse('change', 'a function', change);
      const { writes, lifetime } = this.#stages.settings;
      if (writes === undefined) throw misuse('writes', 'set for `update`: where does the new value go?', writes);
      const ask = {
        ...this.#ask({ maxStale: 0, ...options }),
        lifetime: resolveLifetime(options, options.ttl ?? lifetime.ttl, lifetime),
      };
      return this.#give(await update(this.#stages, writes, key, change, ask));
    });
  }

  /** Loads `key` anew and waits for it, or joins a load under way. The stored value stands in only if that fails and its `staleIfError` allows. */
  refresh(key: string, options?: ReadOptions): Promise<V> {
    return this.#value(() => {
      const ask = this.#ask(options);
      return refresh(this.#stages, key, { ...ask, read: { ...ask.read, softTimeout: Infinity } });
    });
  }

  /**
   * Makes what is stored for the key or keys unusable, from this call on; resolves with whether any tier held one.
   *
   * Loads under way still answer those who asked before, and are not stored. A storage tier that can't be reached is
   * told later, and its old value is not served meanwhile.
   */
  invalidate(key: string | readonly string[]): Promise<boolean> {
    return guarded(() => invalidate(this.#stages, this.#checkKeys(keysOf(key))));
  }

  /** Makes what is stored for the key or keys stale, from this call on, and keeps it as a fallback. */
  expire(key: string | readonly string[]): Promise<void> {
    return guarded(() => expire(this.#stages, this.#checkKeys(keysOf(key))));
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
      return invalidateTags(this.#stages, this.#checkTagList(keysOf(tags)), mode);
    });
  }

  /**
   * Makes everything unusable, from this call on, here and for every process that reads the same storage. Costs the same
   * however much there is; storage lets go of the old entries as they are outlived. Leaves other namespaces alone.
   */
  clear(): Promise<void> {
    return guarded(() => {
      if (this.#stages.isClosed()) throw new CacheClosedError();
      return clear(this.#stages);
    });
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
    if (this.#stages.settings.writes !== undefined)
      throw misuse('namespace', 'not used with `writes`, which are told keys alone: put the name into the key', name);
    const space = this.#stages.space.inner(name);
    const whole: Whole<V> = {
      shared: this.#shared,
      views: this.#views,
      space,
      isClosed: this.#isWhole ? () => this.#closing !== undefined : this.#isWholeClosed,
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
    fn: (...args: A) => MaybePromise<R>,
    options: WrapOptions<A, R> = {},
  ): Wrapped<A, R> {
    const asking = (upstream: Upstream<R>, lifetime: LifetimeOptions<R>): Ask<V> => this.#askFor(upstream, lifetime);
    const port: WrapPort<R> = {
      get: (key, upstream, lifetime) => this.getOrLoad(key, upstream, lifetime),
      lookup: async (key, upstream, lifetime) => {
        const answer = await lookup(this.#stages, key, asking(upstream, lifetime));
        return this.#story(answer) as Lookup<R>;
      },
      refresh: async (key, upstream, lifetime) => {
        const answer = await refresh(this.#stages, key, asking(upstream, lifetime));
        return this.#give(answer.outcome.entry.value) as R;
      },
      invalidate: (key) => this.invalidate(key),
    };
    return wrap(port, fn, options);
  }

  /** Calls `listener` for every event of `type`; the returned function ends that. What a listener throws becomes an `error` event. */
  on<T extends CacheEvent['type']>(type: T, listener: (event: Extract<CacheEvent, { type: T }>) => void): () => void {
    if (!isEventType(type)) throw misuse('type', 'the name of an event', type);
    if (typeof listener !== 'function') throw misuse('listener', 'a function', listener);
    return this.#stages.events.on(type, listener);
  }

  /** Counts since construction, and the state of now. Cheap enough to poll. */
  getStats(): CacheStats {
    const { counters, memory, flights } = this.#stages;
    return counters.snapshot({
      evictions: memory.evictions ?? 0,
      size: memory.size,
      inFlight: flights.live,
      flights: flights.getStats(),
    });
  }

  /** Resolves when no flight and no deferred work is left. */
  async idle(): Promise<void> {
    const { deferred } = this.#stages;
    const maps = (): Stages<V>['probes' | 'flights'][] =>
      this.#parts().flatMap(({ flights, probes }) => [flights, probes]);
    while (deferred.size > 0 || maps().some(({ live }) => live > 0)) {
      await Promise.all([deferred.idle(), ...maps().map((map) => map.idle())]);
    }
  }

  /** Takes no new work, waits until {@link idle}, and closes the storage adapters. Calling it twice is not an error. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const parts = this.#parts();
    for (const { rush } of parts) rush.flight = undefined;
    this.#emptyMemory();
    await this.idle();
    this.#emptyMemory();
    for (const { failures, flights, probes } of parts) {
      failures.clear();
      flights.rest();
      probes.rest();
    }
    this.#unwatch?.();
    if (this.#isWhole) await this.#shared.coherence?.close();
    if (this.#isWhole) await Promise.all(this.#shared.guards.map((guard) => guard.close()));
    for (const { events } of parts) events.clear();
    this.#views.forget(this.#stages.space.id, this);
  }

  #emptyMemory(): void {
    if (this.#isWhole) this.#shared.memory.clear();
    else this.#stages.clearMemory();
  }

  /** What closes with this cache: its own stages, and those of the namespaces if it is the whole. */
  #parts(): Stages<V>[] {
    const inner = this.#isWhole ? this.#views.alive() : [];
    return [this.#stages, ...inner.map((view) => view.#stages)];
  }

  readonly #verbs: Pick<Stages<V>, 'isClosed' | 'nested'> = {
    isClosed: () => this.#closing !== undefined || this.#isWholeClosed(),
    nested: (parent, key, work) => this.#nested(parent, key, work),
  };

  /** What to do when other processes have changed something, or may have. */
  readonly #elsewhere: Parameters<typeof share<V>>[1] = {
    apply: (message) => {
      const stages = this.#stagesAt(message.space);
      if (stages !== undefined) applyRemote(stages, message);
    },
    doubt: () => {
      for (const stages of this.#parts()) doubtFlights(stages);
    },
  };

  /** The stages of the namespace at `path`; `undefined` for one of another cache. */
  #stagesAt(path: readonly string[]): Stages<V> | undefined {
    const own = this.#shared.settings.space;
    if (own.some((name, index) => path[index] !== name)) return undefined;
    if (path.length === own.length) return this.#stages;
    const space = new Namespace(path);
    // Memory may hold entries of a namespace that nobody uses any more, or not yet again.
    const view = this.#views.find(space.id);
    return view === undefined ? wireNamespace(this.#shared, this.#verbs, space) : view.#stages;
  }

  readonly #nested: Stages<V>['nested'] = (parent, key, work) => {
    const ask = { ...this.#askFor(work as unknown as Upstream<V>, {}), parent };
    return this.#value(() => lookup(this.#stages, key, ask)) as Promise<never>;
  };

  #ask(options: ReadOptions | undefined): Ask<V> {
    if (options === undefined) return this.#stages.plain;
    return { ...this.#stages.plain, read: resolveRead(options) };
  }

  #askFor<T extends V>(upstream: Upstream<T>, options: ReadOptions & LifetimeOptions<T>): Ask<V> {
    if (typeof upstream !== 'function') throw misuse('upstream', 'a function', upstream);
    const { lifetime } = this.#stages.settings;
    const read: ReadSettings = resolveRead(options);
    const own = options as LifetimeOptions<V>;
    return {
      upstream: upstream as unknown as Upstream<V>,
      lifetime: resolveLifetime(own, own.ttl ?? lifetime.ttl, lifetime),
      read,
    };
  }

  #value(read: () => Promise<Answer<V>>): Promise<V> {
    return guarded(async () => this.#give((await read()).outcome.entry.value as V));
  }

  /** A kept value as this caller gets it. */
  #give<T>(value: T): T {
    return this.#stages.settings.isolation.give(value);
  }

  #giveAll<T>(values: T[]): T[] {
    return this.#stages.settings.isolation.perCaller ? values.map((value) => this.#give(value)) : values;
  }

  #story(answer: Answer<V>): Lookup<V> {
    const story = storyOf(answer, this.#stages.clock.now());
    return { ...story, value: this.#give(story.value) };
  }

  #checkKeys(keys: readonly string[]): readonly string[] {
    for (const key of keys) if (typeof key !== 'string') throw misuse('key', 'a string', key);
    if (this.#stages.isClosed()) throw new CacheClosedError(keys[0]);
    return keys;
  }

  #checkTagList(tags: readonly string[]): readonly string[] {
    for (const tag of tags) if (typeof tag !== 'string') throw misuse('tag', 'a string', tag);
    if (this.#stages.isClosed()) throw new CacheClosedError();
    return tags;
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
const View = TieredCache as unknown as new <V>(options: undefined, whole: Whole<V>) => TieredCache<V>;

function keysOf(key: string | readonly string[]): readonly string[] {
  return Array.isArray(key) ? key : [key as string];
}

function checkList(keys: readonly string[]): readonly string[] {
  if (!Array.isArray(keys)) throw misuse('keys', 'an array of strings', keys);
  return keys;
}
