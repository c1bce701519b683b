import { DurableObject } from 'cloudflare:workers';

import { systemClock } from '../clock.js';
import type { Clock } from '../contracts.js';
import { misuse } from '../errors.js';
import { checkNames, checkObject } from '../option-checks.js';
import type { ReadOptions } from '../read-options.js';
import type { CacheStats } from '../stats.js';
import type { Lookup, LookupOutcome } from '../story.js';
import { TieredCache } from '../tiered-cache.js';
import { signalOf } from './abort-link.js';
import { Alarms } from './alarms.js';
import { DurableStorage } from './durable-storage.js';
import { toErrorData } from './error-data.js';
import { byteLength, failure, respond } from './json-face.js';
import { resolveObjectOptions, type DurableCacheOptions, type ObjectSettings } from './object-options.js';
import { plainValue } from './plain-values.js';
import {
  LONGEST_KEY,
  type AskedRead,
  type ObjectLifetimeOptions,
  type ObjectReadOptions,
  type Question,
  type Reply,
} from './question.js';
import { Upkeep, type Kept } from './upkeep.js';

/** What an object runs on, made at its first use. */
interface Engine<V> {
  readonly settings: ObjectSettings<V>;
  readonly cache: TieredCache<V>;
  readonly kept: Kept;
}

const READ_OPTIONS = ['signal', 'maxStale', 'softTimeout', 'timeout'] as const;
const LIFETIME_OPTIONS = ['ttl', 'staleWhileRevalidate', 'staleIfError', 'tags'] as const;

/**
 * A cache in a Durable Object: memory, then the object's SQLite, then one coalesced load for the whole world.
 *
 * Say in `configure` what to cache. Workers ask through `durableCache(env.BINDING)`, by RPC, or by `fetch` (`GET /?key=…`
 * answers JSON). The class must be listed in `new_sqlite_classes`. Keys may take 2,048 bytes. Values are what
 * `structuredClone` makes of what the upstream returns.
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
  /** The alarms of this object. Say what to do in the constructor: `this.alarms.on('report', …)`. */
  protected readonly alarms: Alarms;
  readonly #upkeep: Upkeep;
  #engine: Engine<V> | undefined;
  #requests = 0;
  /** The clock of the options, which alarms need before anything else does. */
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
  }

  /**
   * What to cache and for how long.
   *
   * Called at the first use of an object in memory, and again after `idleTtl`. Must be synchronous.
   */
  protected abstract configure(env: Env, state: DurableObjectState): DurableCacheOptions<V>;

  /** The cache itself, for what a subclass adds. */
  protected get cache(): TieredCache<V> {
    return this.#use().cache;
  }

  /** See `TieredCache.get`. */
  async get(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#serve(() => this.cache.get(checkKey(key), readOptions(options)));
  }

  /** See `TieredCache.lookup`. The `error` of a fallback is plain data here. */
  async lookup(key: string, options?: ObjectReadOptions): Promise<Lookup<V>> {
    return this.#serve(async () => sendable(await this.cache.lookup(checkKey(key), readOptions(options))));
  }

  /** See `TieredCache.lookupMany`. */
  async lookupMany(keys: readonly string[], options?: ObjectReadOptions): Promise<LookupOutcome<V>[]> {
    return this.#serve(async () => (await this.cache.lookupMany(checkKeys(keys), readOptions(options))).map(sendable));
  }

  /** See `TieredCache.set`. */
  async set(key: string, value: V, options: ObjectLifetimeOptions = {}): Promise<void> {
    return this.#serve(async () => {
      checkLifetime(options);
      await this.cache.set(checkKey(key), plainValue(key, value), options);
    });
  }

  /** See `TieredCache.invalidate`. */
  async invalidate(key: string | readonly string[]): Promise<boolean> {
    return this.#serve(() => this.cache.invalidate(checkKeyOrKeys(key)));
  }

  /** See `TieredCache.expire`. */
  async expire(key: string | readonly string[]): Promise<void> {
    return this.#serve(() => this.cache.expire(checkKeyOrKeys(key)));
  }

  /** See `TieredCache.refresh`. */
  async refresh(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#serve(() => this.cache.refresh(checkKey(key), readOptions(options)));
  }

  /** Counts since the object was last loaded into memory. */
  async getStats(): Promise<CacheStats> {
    return this.cache.getStats();
  }

  /** For `durableCache`: any of the calls above, with failures as data. Never rejects. */
  async ask(question: Question): Promise<Reply> {
    try {
      return { ok: true, value: await this.#dispatch(question) };
    } catch (error) {
      return { ok: false, error: toErrorData(error) };
    }
  }

  /** `GET` and `HEAD` of `?key=…`: the value as JSON, with `Cache-Status`, `Age` and `Cache-Control`. */
  override async fetch(request: Request): Promise<Response> {
    try {
      const { name } = this.#use().settings;
      return await respond(request, { name, lookup: (key) => this.#serve(() => this.cache.lookup(key)) });
    } catch (error) {
      reportError(error);
      return failure(500, 'INTERNAL_ERROR', 'This object can not answer. The reason is in its logs');
    }
  }

  /** Carries out the alarms that are due. A subclass that overrides it must call it. */
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
      case 'getStats':
        return this.getStats();
      default:
        throw misuse('verb', 'one that this version of soloflight knows', (question as Partial<Question>)?.verb);
    }
  }

  #use(): Engine<V> {
    return (this.#engine ??= this.#start());
  }

  /** Not in the constructor: a subclass is complete only after it. */
  #start(): Engine<V> {
    if (typeof this.configure !== 'function')
      throw misuse('configure', 'a method of your class that returns the options of its cache', undefined);
    const settings = resolveObjectOptions(this.configure(this.env, this.ctx));
    const { codec } = settings;
    const storage = new DurableStorage(this.ctx.storage, codec === undefined ? {} : { codec }, (keepUntil) =>
      this.#upkeep.wrote(keepUntil),
    );
    const cache = new TieredCache<V>({ ...settings.cache, storage });
    const kept: Kept = {
      ...settings,
      storage,
      isBusy: () => this.#requests > 0 || cache.getStats().inFlight > 0,
      deleteAll: () => this.#deleteAll(),
    };
    return { settings, cache, kept };
  }

  #ownClock(): Clock {
    try {
      return this.#use().settings.clock;
    } catch {
      // Whoever asks this object is told what is wrong with its options.
      return systemClock;
    }
  }

  async #serve<T>(run: () => Promise<T>): Promise<T> {
    this.#use();
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
    // First what is held, so that a request that comes meanwhile finds neither.
    this.#engine = undefined;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }
}

function optionsOf({ options, abort }: AskedRead): ObjectReadOptions | undefined {
  if (options !== undefined) checkObject('options', options);
  const signal = signalOf(abort);
  return signal === undefined ? options : { ...options, signal };
}

function readOptions(options: ObjectReadOptions | undefined): ReadOptions | undefined {
  if (options === undefined) return undefined;
  checkObject('options', options);
  checkNames(options, READ_OPTIONS);
  return options;
}

function checkLifetime(options: ObjectLifetimeOptions): void {
  checkObject('options', options);
  checkNames(options, LIFETIME_OPTIONS);
  // Over RPC a function arrives as something to call the caller with, long after it has left.
  if (typeof options.ttl === 'function') throw misuse('ttl', 'a duration: functions stay where they are', options.ttl);
  if (typeof options.tags === 'function') throw misuse('tags', 'an array of strings', options.tags);
}

function checkKey(key: string): string {
  // Most keys are far too short to be counted.
  if (typeof key === 'string' && (key.length * 3 <= LONGEST_KEY || byteLength(key) <= LONGEST_KEY)) return key;
  throw misuse('key', `a string of at most ${LONGEST_KEY} bytes`, key);
}

function checkKeys(keys: readonly string[]): readonly string[] {
  if (!Array.isArray(keys)) throw misuse('keys', 'an array of strings', keys);
  for (const key of keys) checkKey(key as string);
  return keys;
}

function checkKeyOrKeys(key: string | readonly string[]): string | readonly string[] {
  return Array.isArray(key) ? checkKeys(key) : checkKey(key as string);
}

/** A story whose error, which may be anything, can be sent. */
function sendable<S extends { readonly error?: unknown }>(story: S): S {
  return 'error' in story ? { ...story, error: toErrorData(story.error) } : story;
}
