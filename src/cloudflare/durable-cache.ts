import { checkNames, checkObject, checkSignal } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Upstream } from '../contracts.js';
import { CallerTimeoutError, misuse, SoloflightError, SomeKeysFailedError } from '../errors.js';
import { loaded } from '../read/loaded.js';
import type { Lookup, LookupOutcome } from '../read/outcome.js';
import type { CacheStats } from '../read/stats.js';
import type { WriteStatus } from '../writes/write-behind.js';
import { AbortLink } from './abort-link.js';
import type { CacheObject } from './cache-object.js';
import { fromErrorData, type ErrorData } from './error-data.js';
import { failure, keyOf } from './json-face.js';
import { callObject, fetchObject, type Answering } from './object-call.js';
import type { AskedRead, ObjectLifetimeOptions, ObjectReadOptions, Question, TagOptions } from './question.js';
import { resolveRoute, type DurableCacheClientOptions, type Route } from './routing.js';

/** A cache whose entries live in Durable Objects, as a Worker sees it. */
export interface DurableCacheClient<V> {
  /** The value for `key`, from the object's memory or storage, else loaded once for all callers, wherever they are. */
  get(key: string, options?: ObjectReadOptions): Promise<V>;
  /** Like {@link get}, with the story of the read. */
  lookup(key: string, options?: ObjectReadOptions): Promise<Lookup<V>>;
  /** The values for `keys`, in their order, with one call to each object that holds some of them. */
  getMany(keys: readonly string[], options?: ObjectReadOptions): Promise<(V | undefined)[]>;
  /** Like {@link getMany}, with the story of each read, or its failure. */
  lookupMany(keys: readonly string[], options?: ObjectReadOptions): Promise<LookupOutcome<V>[]>;
  /**
   * Stores `value`. Loads that started earlier never overwrite it. With the object's option `writes`, resolves when the
   * write is accepted: readers see it, and it reaches the main database later.
   */
  set(key: string, value: V, options?: ObjectLifetimeOptions): Promise<void>;
  /** Writes the result of `writes.apply` for the current value and `change`. Resolves with it when it is accepted. */
  update(key: string, change: unknown): Promise<V>;
  /** Deletes `key`, as a write. Needs the object's option `writes`. */
  delete(key: string): Promise<void>;
  /** Makes the object of `key` deliver all its pending writes now. Resolves when each was tried. */
  flush(key: string): Promise<void>;
  /** The state of the writes of the object of `key`. */
  getWriteStatus(key: string): Promise<WriteStatus>;
  /** Closes the WebSockets of `client` at the object of `key`, or all of them, and tells how many these were. */
  closeSockets(key: string, client?: string): Promise<number>;
  /** Loads `key` anew. */
  refresh(key: string, options?: ObjectReadOptions): Promise<V>;
  /** Makes the entries of these keys unusable, with one call to each object, and tells whether there was one. */
  invalidate(keys: string | readonly string[]): Promise<boolean>;
  /** Makes the entries of these keys stale, and keeps them as fallbacks. */
  expire(keys: string | readonly string[]): Promise<void>;
  /**
   * Makes the entries with one of these tags unusable, or with `mode: 'expire'` stale.
   *
   * Tags belong to their object. All objects are told of a client with `shards`; otherwise nobody knows which ones there
   * are, so `keys` must say so: those that hold one of these are told.
   */
  invalidateTags(tags: string | readonly string[], options?: ObjectTagOptions): Promise<void>;
  /** Makes everything unusable in all objects of a client with `shards`, else in those that hold one of `keys`. */
  clear(keys?: string | readonly string[]): Promise<void>;
  /**
   * Passes `request` on to the object of the `key` in its query, WebSockets included. Never rejects for the platform: a `GET`
   * or `HEAD` that it fails in a way that may pass is sent once more, and then the answer is a 503.
   */
  fetch(request: Request): Promise<Response>;
  /** The counts of the object of `key`. */
  getStats(key: string): Promise<CacheStats>;
  /**
   * The objects as the upstream of a Worker's own cache: memory here, then the object, then the origin. A value is fresh
   * here for the `ttl` of that cache, and never longer than in its object.
   */
  readonly upstream: Upstream<V>;
}

/** Options of {@link DurableCacheClient.invalidateTags}. */
export interface ObjectTagOptions extends TagOptions {
  /** Keys whose objects are told. @default all objects, for a client with `shards` */
  readonly keys?: string | readonly string[];
}

/**
 * A client of the cache in the Durable Objects of `namespace`. Costs nothing to make: one per request is fine.
 *
 * Errors arrive as the object threw them: our own with their `code`, an upstream's with name, message, `code` and own
 * plain properties. If the platform fails a call because the object was reset or overloaded, the call is made once more,
 * except writes; then it fails with code `SOLOFLIGHT_OBJECT_UNAVAILABLE`.
 *
 * @throws TypeError for an option that makes no sense, or a missing binding.
 */
export function durableCache<V>(
  namespace: DurableObjectNamespace<CacheObject<unknown, V>>,
  options?: DurableCacheClientOptions,
): DurableCacheClient<V>;
/** The same: TypeScript before 6.0 takes the namespace of a subclass for none of `CacheObject`. */
// oxlint-disable-next-line typescript/no-explicit-any
export function durableCache<T extends CacheObject<any, any>, V extends ValueOf<T>>(
  namespace: DurableObjectNamespace<T>,
  options?: DurableCacheClientOptions,
): DurableCacheClient<V>;
export function durableCache<V>(
  namespace: DurableObjectNamespace<CacheObject<unknown, V>>,
  options: DurableCacheClientOptions = {},
): DurableCacheClient<V> {
  return new Client<V>(namespace, options);
}

/** How long after a caller's timeout the client still waits for the object, which knows better what to answer. */
const GRACE = 250;

const READ_OPTIONS = ['signal', 'maxStale', 'softTimeout', 'timeout'] as const;

/** What a class of objects caches. */
export type ValueOf<T> = T extends CacheObject<infer _Env, infer V> ? V : never;

type Stub<V> = ReturnType<DurableObjectNamespace<CacheObject<unknown, V>>['get']>;

class Client<V> implements DurableCacheClient<V> {
  readonly #namespace: DurableObjectNamespace<CacheObject<unknown, V>>;
  readonly #route: Route;
  readonly #location: { readonly locationHint?: DurableObjectLocationHint };

  constructor(namespace: DurableObjectNamespace<CacheObject<unknown, V>>, options: DurableCacheClientOptions) {
    if (typeof namespace?.idFromName !== 'function') {
      throw misuse(
        'namespace',
        'the binding of a Durable Object (`durable_objects.bindings` in the configuration of the Worker)',
        namespace,
      );
    }
    this.#route = resolveRoute(options);
    const { locationHint, jurisdiction } = options;
    this.#namespace = jurisdiction === undefined ? namespace : namespace.jurisdiction(jurisdiction);
    this.#location = locationHint === undefined ? {} : { locationHint };
  }

  readonly upstream: Upstream<V> = async (key, { reason, signal }) => {
    if (reason === 'refresh') await this.refresh(key, { signal });
    const { value, freshFor, tags, meta } = await this.lookup(key, { signal });
    return loaded(value, { maxTtl: Math.max(0, freshFor), tags, meta });
  };

  get(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#read('get', key, options) as Promise<V>;
  }

  async lookup(key: string, options?: ObjectReadOptions): Promise<Lookup<V>> {
    return withError((await this.#read('lookup', key, options)) as Lookup<V>);
  }

  refresh(key: string, options?: ObjectReadOptions): Promise<V> {
    return this.#read('refresh', key, options) as Promise<V>;
  }

  async getMany(keys: readonly string[], options?: ObjectReadOptions): Promise<(V | undefined)[]> {
    const outcomes = await this.lookupMany(keys, options);
    const failures = new Map<string, unknown>();
    for (const outcome of outcomes) if (outcome.status === 'failed') failures.set(outcome.key, outcome.error);
    if (failures.size > 0) throw new SomeKeysFailedError(failures);
    return outcomes.map((outcome) => (outcome.status === 'failed' ? undefined : outcome.value));
  }

  async lookupMany(keys: readonly string[], options?: ObjectReadOptions): Promise<LookupOutcome<V>[]> {
    const groups = this.#grouped(keys);
    const found = new Map<string, LookupOutcome<V>>();
    const lookUp = async ([name, some]: [string, string[]]): Promise<void> => {
      for (const outcome of await this.#lookupGroup(name, some, options)) found.set(outcome.key, withError(outcome));
    };
    await Promise.all([...groups].map(lookUp));
    return keys.map((key) => found.get(key) ?? { key, status: 'failed', error: unanswered(key) });
  }

  async set(key: string, value: V, options?: ObjectLifetimeOptions): Promise<void> {
    await this.#call(this.#nameFor(key), { verb: 'set', key, value, options });
  }

  async invalidate(keys: string | readonly string[]): Promise<boolean> {
    return (await this.#each('invalidate', keys)).includes(true);
  }

  async expire(keys: string | readonly string[]): Promise<void> {
    await this.#each('expire', keys);
  }

  async invalidateTags(tags: string | readonly string[], options: ObjectTagOptions = {}): Promise<void> {
    checkObject('options', options);
    checkNames(options, ['mode', 'keys']);
    const { keys, mode } = options;
    const how = mode === undefined ? undefined : { mode };
    await this.#everywhere('invalidateTags', keys, { verb: 'invalidateTags', tags: listOf(tags), options: how });
  }

  async clear(keys?: string | readonly string[]): Promise<void> {
    await this.#everywhere('clear', keys, { verb: 'clear' });
  }

  update(key: string, change: unknown): Promise<V> {
    return this.#call(this.#nameFor(key), { verb: 'update', key, change }) as Promise<V>;
  }

  async delete(key: string): Promise<void> {
    await this.#call(this.#nameFor(key), { verb: 'delete', key });
  }

  async flush(key: string): Promise<void> {
    await this.#call(this.#nameFor(key), { verb: 'flush' });
  }

  async getWriteStatus(key: string): Promise<WriteStatus> {
    const status = (await this.#call(this.#nameFor(key), { verb: 'getWriteStatus' })) as WriteStatus;
    const { lastError } = status;
    return lastError === undefined ? status : { ...status, lastError: fromErrorData(lastError as ErrorData) };
  }

  closeSockets(key: string, client?: string): Promise<number> {
    return this.#call(this.#nameFor(key), { verb: 'closeSockets', client }) as Promise<number>;
  }

  async fetch(request: Request): Promise<Response> {
    const key = keyOf(request);
    if (key instanceof Response) return key;
    if (this.#route.nameFor(key) === '') return failure(400, 'BAD_KEY', 'Expected a `key` that is not empty');
    const name = this.#nameFor(key);
    return fetchObject(() => this.#stub(name), request, name);
  }

  getStats(key: string): Promise<CacheStats> {
    return this.#call(this.#nameFor(key), { verb: 'getStats' }) as Promise<CacheStats>;
  }

  async #read(verb: 'get' | 'lookup' | 'refresh', key: string, options?: ObjectReadOptions): Promise<unknown> {
    const name = this.#nameFor(key);
    return patiently(key, options, (asked) => this.#call(name, { verb, key, ...asked }));
  }

  /** Looks up the keys of one object. If it can't answer, it fails its own keys alone. */
  async #lookupGroup(name: string, keys: string[], options?: ObjectReadOptions): Promise<LookupOutcome<V>[]> {
    try {
      const outcomes = await patiently(keys[0] ?? '', options, (asked) =>
        this.#call(name, { verb: 'lookupMany', keys, ...asked }),
      );
      return outcomes as LookupOutcome<V>[];
    } catch (error) {
      // Bad arguments and a caller that has left concern all keys.
      if (error instanceof TypeError || options?.signal?.aborted === true) throw error;
      return keys.map((key) => ({ key, status: 'failed', error }));
    }
  }

  /** Calls each object that holds some of `keys`. */
  #each(verb: 'invalidate' | 'expire', keys: string | readonly string[]): Promise<unknown[]> {
    const groups = [...this.#grouped(listOf(keys))];
    return Promise.all(groups.map(([name, key]) => this.#call(name, { verb, key })));
  }

  /** Calls the objects of `keys`, or all. */
  async #everywhere(call: string, keys: string | readonly string[] | undefined, question: Question): Promise<void> {
    const names = keys === undefined ? this.#route.names : [...this.#grouped(listOf(keys)).keys()];
    if (names === undefined)
      throw misuse('keys', `given for \`${call}\`: without \`shards\`, the names of all objects are unknown`, keys);
    await Promise.all(names.map((name) => this.#call(name, question)));
  }

  /** `keys` by the names of their objects. */
  #grouped(keys: readonly string[]): Map<string, string[]> {
    if (!Array.isArray(keys)) throw misuse('keys', 'an array of strings', keys);
    const groups = new Map<string, string[]>();
    for (const key of new Set(keys)) {
      const name = this.#nameFor(key);
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [key]);
      else group.push(key);
    }
    return groups;
  }

  #call(name: string, question: Question): Promise<unknown> {
    // A new stub for each attempt, as the platform wants it: a stub whose object was reset stays broken.
    return callObject((): Answering => this.#stub(name), question, name);
  }

  #stub(name: string): Stub<V> {
    return this.#namespace.get(this.#namespace.idFromName(name), this.#location);
  }

  #nameFor(key: string): string {
    if (typeof key !== 'string') throw misuse('key', 'a string', key);
    const name: unknown = this.#route.nameFor(key);
    if (name === '' && key === '') throw misuse('key', 'a non-empty string: it names the object', key);
    if (typeof name !== 'string' || name === '') throw misuse('route', 'a function that returns non-empty names', name);
    return name;
  }
}

function listOf(names: string | readonly string[]): readonly string[] {
  return typeof names === 'string' ? [names] : names;
}

/** Runs `read` for as long as the caller's signal and timeout allow, whatever becomes of the object. */
async function patiently(
  key: string,
  options: ObjectReadOptions | undefined,
  read: (asked: AskedRead | undefined) => Promise<unknown>,
): Promise<unknown> {
  if (options === undefined) return read(undefined);
  checkObject('options', options);
  checkNames(options, READ_OPTIONS);
  const { signal, ...others } = options;
  checkSignal(signal);
  const { timeout = Infinity } = options;
  const patience = parseDuration('timeout', timeout, { infinite: true });
  if (signal === undefined && patience === Infinity) return read({ options: others });

  signal?.throwIfAborted();
  const link = signal === undefined ? undefined : new AbortLink(signal);
  let reject: (reason: unknown) => void = () => {};
  const left = new Promise<never>((_resolve, rejectLeft) => (reject = rejectLeft));
  const leave = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', leave);
  const cancel = systemClock.after(patience + GRACE, () => reject(new CallerTimeoutError(key, patience)));
  try {
    return await Promise.race([read({ options: others, abort: link }), left]);
  } finally {
    cancel();
    signal?.removeEventListener('abort', leave);
    link?.end();
  }
}

function withError<S extends object>(story: S): S {
  return 'error' in story ? { ...story, error: fromErrorData(story.error as ErrorData) } : story;
}

function unanswered(key: string): SoloflightError {
  return new SoloflightError('SOLOFLIGHT_OBJECT_UNAVAILABLE', `The Durable Object gave no answer for '${key}'`, {
    key,
  });
}
