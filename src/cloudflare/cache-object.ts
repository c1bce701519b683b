import { DurableObject } from 'cloudflare:workers';

import { systemClock } from '../base/clock.js';
import { TieredCache } from '../cache/tiered-cache.js';
import type { Clock } from '../contracts.js';
import { misuse } from '../errors.js';
import type { Lookup } from '../read/outcome.js';
import type { CacheStats } from '../read/stats.js';
import { defineStorage } from '../tiers/define-storage.js';
import type { WriteBehind } from '../writes/write-behind.js';
import { Alarms, FLUSH } from './alarms.js';
import { preflight, withCors } from './cors.js';
import { DurableStorage } from './durable-storage.js';
import { toErrorData } from './error-data.js';
import { failure, respond } from './json-face.js';
import { checkKey, checkKeyOrKeys, checkKeys, checkLifetime, optionsOf, readOptions } from './object-arguments.js';
import { resolveObjectOptions, type DurableCacheOptions, type ObjectSettings } from './object-options.js';
import type { Writing } from './object-writes.js';
import { plainValue } from './plain-values.js';
import type { ObjectLifetimeOptions, ObjectReadOptions, Question, Reply, TagOptions } from './question.js';
import type { SentLookup, SentOutcome, SentWriteStatus } from './sent.js';
import { closeAll, end, isOurs, type Socket } from './sockets.js';
import { hasWrites } from './stored-writes.js';
import { Upkeep, type Kept } from './upkeep.js';
import type { Writable } from './write-gate.js';

/** The parts of an object, made at its first use. */
interface Engine<V> {
  readonly settings: ObjectSettings<V>;
  readonly cache: TieredCache<V>;
  readonly kept: Kept;
  readonly writing: Writing<V> | undefined;
}

/** Finds a table that is not the platform's own. Key-value pairs of a subclass are in one of its tables. */
const ANY_TABLE = "SELECT 1 FROM sqlite_master WHERE name = '_cf_KV' OR name NOT GLOB '_cf_*' LIMIT 1";

const METHODS = { reads: 'GET, HEAD', writes: 'GET, HEAD, PUT, PATCH, DELETE' } as const;

/**
 * A cache in a Durable Object: memory, then the object's SQLite, then one coalesced load for the whole world.
 *
 * Override `configure` to say what to cache. Workers call it through `durableCache(env.BINDING)`, by RPC, or by `fetch`
 * (`GET /?key=…` answers JSON). The class must be listed in `new_sqlite_classes`. Keys may take 2,048 bytes. A value is
 * the `structuredClone` of the upstream's.
 *
 * With the option `writes` it also takes writes, by RPC, `PUT`, `PATCH` and `DELETE`, and WebSocket. An accepted write is in
 * the object's SQLite, visible to readers and sent to all WebSockets at once, and delivered in a batch by the object's alarm.
 *
 * @example
 * ```ts
 * import { CacheObject, durableCache, type DurableCacheOptions } from 'soloflight/cloudflare';
 *
 * interface Env {
 *   readonly RATES: DurableObjectNamespace<Rates>;
 * }
 * export class Rates extends CacheObject<Env, number> {
 *   protected override configure(): DurableCacheOptions<number> {
 *     return { ttl: '10s', staleIfError: '1h', upstream: async () => 1.08 };
 *   }
 * }
 * export const rate = (env: Env): Promise<number> => durableCache(env.RATES).get('EUR/USD');
 * ```
 */
export abstract class CacheObject<Env = unknown, V = unknown> extends DurableObject<Env> {
  /** The alarms of this object. Register handlers in the constructor: `this.alarms.on('report', …)`. */
  protected readonly alarms: Alarms;
  readonly #upkeep: Upkeep;
  #engine: Engine<V> | undefined;
  #requests = 0;
  /** The clock of the options. Reads them late, since alarms are made before anything else. */
  readonly #clock: Clock = {
    now: () => this.#ownClock().now(),
    monotonic: () => this.#ownClock().monotonic(),
    after: (ms, run) => this.#ownClock().after(ms, run),
    random: () => this.#ownClock().random(),
  };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.alarms = new Alarms(ctx.storage, {
      clock: this.#clock,
      onError: (name, error) => this.#use().settings.onAlarmError(name, error),
    });
    this.#upkeep = new Upkeep(this.alarms, () => this.#use().kept);
    this.alarms.on(FLUSH, () => this.#use().writing?.ring());
    this.#rearm();
  }

  /**
   * Returns what to cache and for how long.
   *
   * Called at the first use of an object in memory, and again after `idleTtl`. Must be synchronous.
   */
  protected abstract configure(env: Env, state: DurableObjectState): DurableCacheOptions<V>;

  /** The cache itself, for subclasses. */
  protected get cache(): TieredCache<V> {
    return this.#use().cache;
  }

  /** The pending writes and dead letters, for subclasses. @throws TypeError without the option `writes`. */
  protected get writes(): WriteBehind<V> {
    return this.#writing().behind;
  }

  /** See `TieredCache.get`. */
  async get(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#serve(() => this.cache.get(checkKey(key), readOptions(options)));
  }

  /** See `TieredCache.lookup`. The `error` of a fallback is plain data here. */
  async lookup(key: string, options?: ObjectReadOptions): Promise<SentLookup<V>> {
    return this.#serve(async () => sendable(await this.cache.lookup(checkKey(key), readOptions(options))));
  }

  /** See `TieredCache.lookupMany`. */
  async lookupMany(keys: readonly string[], options?: ObjectReadOptions): Promise<SentOutcome<V>[]> {
    return this.#serve(async () => (await this.cache.lookupMany(checkKeys(keys), readOptions(options))).map(sendable));
  }

  /** See `TieredCache.set`. */
  async set(key: string, value: V, options: ObjectLifetimeOptions = {}): Promise<void> {
    return this.#serve(async () => {
      checkLifetime(options);
      await this.cache.set(checkKey(key), plainValue(key, value), options);
    });
  }

  /** Writes the result of `writes.apply` for the current value and `change`. Resolves with it when it is accepted. */
  async update(key: string, change: unknown): Promise<V> {
    const { apply } = this.#use().writing ?? {};
    if (apply === undefined) throw misuse('writes.apply', 'set for `update`: it makes the new value', apply);
    return this.#update(key, (current) => apply(current, change, key));
  }

  /** Deletes `key`, as a write. */
  async delete(key: string): Promise<void> {
    this.#writing();
    return this.#serve(() => this.cache.set(checkKey(key), undefined as V));
  }

  /** Delivers all pending writes now. Resolves when each was tried, or the sink failed: see `getWriteStatus`. */
  async flush(): Promise<void> {
    const writing = this.#writing();
    return this.#serve(() => writing.flush());
  }

  /** The state of this object's writes. The `lastError` is plain data here. */
  async getWriteStatus(): Promise<SentWriteStatus> {
    const { behind } = this.#writing();
    await behind.open();
    const status = behind.status();
    return status.lastError === undefined ? status : { ...status, lastError: toErrorData(status.lastError) };
  }

  /**
   * Closes the WebSockets of the client that `authorize` named `client`, or all, and resolves with their number. They hear
   * of nothing more, and write nothing more. Does not keep the client from connecting again: that is for `authorize`.
   */
  async closeSockets(client?: string): Promise<number> {
    return closeAll(this.ctx, client);
  }

  /** See `TieredCache.invalidate`. */
  async invalidate(key: string | readonly string[]): Promise<boolean> {
    return this.#serve(() => this.cache.invalidate(checkKeyOrKeys(key)));
  }

  /** See `TieredCache.expire`. */
  async expire(key: string | readonly string[]): Promise<void> {
    return this.#serve(() => this.cache.expire(checkKeyOrKeys(key)));
  }

  /** See `TieredCache.invalidateTags`. Concerns the keys of this object. */
  async invalidateTags(tags: string | readonly string[], options?: TagOptions): Promise<void> {
    return this.#serve(() => this.cache.invalidateTags(tags, options));
  }

  /** See `TieredCache.clear`. Concerns the keys of this object. */
  async clear(): Promise<void> {
    return this.#serve(() => this.cache.clear());
  }

  /** See `TieredCache.refresh`. */
  async refresh(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#serve(() => this.cache.refresh(checkKey(key), readOptions(options)));
  }

  /** Counts since the object was last loaded into memory. */
  async getStats(): Promise<CacheStats> {
    return this.cache.getStats();
  }

  /** Takes any of the calls above from `durableCache`, and returns failures as data. Never rejects. */
  async ask(question: Question): Promise<Reply> {
    try {
      return { ok: true, value: await this.#dispatch(question) };
    } catch (error) {
      return { ok: false, error: toErrorData(error) };
    }
  }

  /**
   * `GET` and `HEAD` of `?key=…`: the value as JSON, with `Cache-Status`, `Age`, `ETag` and the `Cache-Control` of the options;
   * a 304 for a client that has it. With the option `writes`, also `PUT`, `PATCH` and `DELETE`, and WebSockets.
   */
  override async fetch(request: Request): Promise<Response> {
    const response = await this.#answer(request);
    const { cors } = this.#engine?.settings ?? {};
    return cors === undefined ? response : withCors(request, response, cors);
  }

  async #answer(request: Request): Promise<Response> {
    try {
      const { settings, writing } = this.#use();
      const answer = writing?.answer(request);
      if (answer !== undefined) return await this.#serve(() => answer);
      const methods = writing === undefined ? METHODS.reads : METHODS.writes;
      if (settings.cors !== undefined && request.method === 'OPTIONS') return preflight(request, methods);
      const lookup = (key: string): Promise<Lookup<V>> => this.#serve(() => this.cache.lookup(key));
      return await respond(request, { name: settings.name, lookup, methods, cacheControl: settings.cacheControl });
    } catch (error) {
      reportError(error);
      return failure(500, 'INTERNAL_ERROR', 'This object can not answer. The reason is in its logs');
    }
  }

  /** Handles a message of a WebSocket. An override must call it; so must overrides of the next two. */
  override async webSocketMessage(socket: Socket, message: string | ArrayBuffer): Promise<void> {
    if (!isOurs(this.ctx, socket)) return;
    try {
      const { writing } = this.#use();
      if (writing === undefined) end(socket, 'NO_WRITES');
      else await this.#serve(() => writing.receive(socket, message));
    } catch (error) {
      reportError(error);
      end(socket, 'INTERNAL_ERROR');
    }
  }

  override webSocketClose(socket: Socket, _code: number, _reason: string, _wasClean: boolean): void {
    if (isOurs(this.ctx, socket)) end(socket);
  }

  override webSocketError(socket: Socket, _error: unknown): void {
    if (isOurs(this.ctx, socket)) end(socket);
  }

  /** Runs the alarms that are due. A subclass that overrides it must call it. */
  override async alarm(): Promise<void> {
    await this.alarms.run();
  }

  #dispatch(question: Question): Promise<unknown> {
    switch (question?.verb) {
      case 'get':
      case 'lookup':
      case 'refresh':
        return this[question.verb](question.key, optionsOf(question));
      case 'lookupMany':
        return this.lookupMany(question.keys, optionsOf(question));
      case 'set':
        return this.set(question.key, question.value as V, question.options);
      case 'invalidate':
      case 'expire':
        return this[question.verb](question.key);
      case 'invalidateTags':
        return this.invalidateTags(question.tags, question.options);
      case 'update':
        return this.update(question.key, question.change);
      case 'delete':
        return this.delete(question.key);
      case 'closeSockets':
        return this.closeSockets(question.client);
      case 'clear':
      case 'getStats':
      case 'getWriteStatus':
      case 'flush':
        return this[question.verb]();
      default:
        throw misuse('verb', 'one that this version of soloflight knows', (question as Partial<Question>)?.verb);
    }
  }

  #use(): Engine<V> {
    if (this.#engine !== undefined) return this.#engine;
    const engine = (this.#engine = this.#start());
    // Nobody awaits this: the platform holds answers back until earlier writes to the storage are safe.
    engine.writing?.resume().catch((error: unknown) => reportError(error));
    return engine;
  }

  /** Not called in the constructor: a subclass is complete only after it. */
  #start(): Engine<V> {
    if (typeof this.configure !== 'function')
      throw misuse('configure', 'a method of your class that returns the options of its cache', undefined);
    const settings = resolveObjectOptions(this.configure(this.env, this.ctx));
    const { codec, clock } = settings;
    const storage = new DurableStorage(this.ctx.storage, codec === undefined ? {} : { codec }, (keepUntil) =>
      this.#upkeep.wrote(keepUntil),
    );
    const writing = this.#startWriting(settings);
    const writes = writing?.behind;
    const cache = new TieredCache<V>({
      ...settings.cache,
      ...(writes === undefined ? {} : { writes }),
      storage: defineStorage(storage),
      // All calls of an object share its I/O context.
      scope: 'shared',
    });
    const kept: Kept = {
      ...{ ...settings, clock, storage },
      isStoring: () => this.ctx.storage.sql.exec(ANY_TABLE).toArray().length > 0,
      isBusy: () => this.#requests > 0 || cache.getStats().inFlight > 0 || hasWrites(this.ctx.storage),
      deleteAll: () => this.#deleteAll(),
    };
    return { settings, cache, kept, writing };
  }

  #startWriting({ writes, clock, codec }: ObjectSettings<V>): Writing<V> | undefined {
    const object: Writable<V> = {
      get: (key) => this.get(key),
      set: (key, value) => this.set(key, value),
      update: (key, change) => this.#update(key, change),
      delete: (key) => this.delete(key),
    };
    return writes?.start({ state: this.ctx, alarms: this.alarms, clock, codec, object });
  }

  #writing(): Writing<V> {
    const { writing } = this.#use();
    if (writing === undefined)
      throw misuse('writes', 'set in the options that `configure` returns: they say where writes go', writing);
    return writing;
  }

  #update(key: string, change: (current: V | undefined) => V): Promise<V> {
    let isMade = false;
    const make = (current: V | undefined): V => {
      isMade = true;
      const next = change(current);
      if (next === undefined) throw misuse('result of writes.apply', 'a value (use `delete` to remove a key)', next);
      return plainValue(key, next);
    };
    return this.#serve(async () => {
      try {
        return await this.cache.update(checkKey(key), make);
      } catch (error) {
        if (isMade) throw error;
        // The current value could not be loaded. While the upstream is away, the last known value counts as current.
        return this.cache.update(key, make, { maxStale: Infinity });
      }
    });
  }

  #ownClock(): Clock {
    try {
      return this.#use().settings.clock;
    } catch {
      // The next caller of this object learns what is wrong with its options.
      return systemClock;
    }
  }

  /** Nobody awaits this: the request that comes next tries again. */
  #rearm(): void {
    this.alarms.rearm().catch((error: unknown) => reportError(error));
  }

  async #serve<T>(run: () => Promise<T>): Promise<T> {
    this.#use();
    this.#rearm();
    this.#requests += 1;
    this.#upkeep.asked();
    try {
      return await run();
    } finally {
      this.#requests -= 1;
      this.#upkeep.asked();
    }
  }

  async #deleteAll(): Promise<void> {
    // Forgets the engine first, so that a request that comes meanwhile finds neither memory nor storage.
    this.#engine = undefined;
    const { storage } = this.ctx;
    // Both in this turn: a write that is accepted in the next turn must stay.
    await Promise.all([storage.deleteAlarm(), storage.deleteAll()]);
  }
}

/** `story` with its error, which may be anything, as plain data. */
function sendable<S extends { readonly error?: unknown }>(story: S): S {
  return 'error' in story ? { ...story, error: toErrorData(story.error) } : story;
}
