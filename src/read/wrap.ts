import { checkFunction, checkObject } from '../base/checks.js';
import { keyOf } from '../base/key.js';
import { silenced } from '../base/promises.js';
import type { MaybePromise, Upstream } from '../contracts.js';
import { misuse } from '../errors.js';
import { resolveLifetime, type LifetimeOptions } from './lifetime.js';
import type { Lookup } from './outcome.js';
import type { ReadOptions } from './read-options.js';

/** Options of `TieredCache.wrap`. */
export interface WrapOptions<A extends unknown[], R> extends Omit<LifetimeOptions<R>, 'tags'> {
  /** Tells the keys of this function from those of others in the same cache. Needed for a function without a name. @default the function's name */
  readonly name?: string;
  /** Makes the key, where arguments can't be told apart by content or only some of them matter. @default all arguments, by `keyOf` */
  readonly key?: (...args: A) => string;
  /** Groups the values belong to, or a function of the arguments. */
  readonly tags?: readonly string[] | ((...args: A) => readonly string[]);
  /** Whether the function is given the load after its own arguments: its `signal`, what was there before. @default false */
  readonly withLoad?: boolean | undefined;
}

/** A function whose results are cached. */
export interface Wrapped<A extends unknown[], R> {
  (...args: A): Promise<R>;
  /** The result with the story of the read. */
  lookup(...args: A): Promise<Lookup<R>>;
  /** Makes the stored result of these arguments unusable. */
  invalidate(...args: A): Promise<void>;
  /** Calls the function anew and stores its result. */
  refresh(...args: A): Promise<R>;
  /** Stores `value` as the result of these arguments. */
  set(args: A, value: R): Promise<void>;
  /** Makes the stored result of these arguments stale, and keeps it as a fallback. */
  expire(...args: A): Promise<void>;
  /** Makes all stored results of the function unusable, by the prefix that their keys have of its name. See `TieredCache.invalidatePrefix`. */
  clear(): Promise<void>;
  /** The function with the options of a read, for example a caller's `signal`. */
  with(options: ReadOptions): (...args: A) => Promise<R>;
  /** The key that these arguments have in the cache. @throws TypeError for arguments that no key can be made of. */
  keyFor(...args: A): string;
}

/**
 * {@link Wrapped} for a function of type `F`: as it is where `F` has type parameters of its own, which its arguments and results
 * would lose.
 */
export type WrappedFunction<F> = F extends (...args: infer A) => infer R
  ? F extends (...args: never[]) => PromiseLike<unknown>
    ? ((...args: A) => R) extends F
      ? Wrapped<A, Awaited<R>>
      : F & Pick<Wrapped<A, Awaited<R>>, keyof Wrapped<A, Awaited<R>>>
    : Wrapped<A, Awaited<R>>
  : never;

/** What wrapping needs of a cache. */
export interface WrapPort<R> {
  readonly get: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R> & ReadOptions) => Promise<R>;
  readonly set: (key: string, value: R, options: LifetimeOptions<R>) => Promise<void>;
  readonly expire: (key: string) => Promise<void>;
  readonly lookup: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<Lookup<R>>;
  readonly refresh: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<R>;
  readonly invalidate: (key: string) => Promise<unknown>;
  readonly clear: (prefix: string) => Promise<void>;
}

/** Makes a cached version of `fn`. `this` is handed on, and is no part of the key. */
export function wrap<A extends unknown[], R>(
  port: WrapPort<R>,
  fn: (...args: never[]) => unknown,
  options: WrapOptions<A, R>,
): Wrapped<A, R> {
  if (typeof fn !== 'function') throw misuse('fn', 'a function', fn);
  checkObject('options', options);
  checkFunction('key', options.key);
  const { name = fn.name, key, tags, withLoad = false, ...lifetime } = options;
  if (typeof withLoad !== 'boolean') throw misuse('withLoad', 'a boolean', withLoad);
  resolveLifetime(lifetime, lifetime.ttl ?? 0);
  if (typeof name !== 'string' || name === '') throw misuse('name', 'given for a function without a name', name);

  // The name delimits itself, so that no own key of one function can look like that of another.
  const prefix = keyOf(name);
  const keyFor = (...args: A): string => {
    if (key === undefined) return prefix + keyOf(...args);
    const own: unknown = key(...args);
    if (typeof own !== 'string') throw misuse('result of key', 'a string', own);
    return prefix + own;
  };
  const optionsFor = (args: A): LifetimeOptions<R> => {
    if (tags === undefined) return lifetime;
    return { ...lifetime, tags: typeof tags === 'function' ? tags(...args) : tags };
  };
  const call = fn as (this: unknown, ...args: unknown[]) => MaybePromise<R>;
  /** Bad arguments are a rejection, like everything else that goes wrong in an async function. */
  const read =
    <T>(verb: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<T>) =>
    (self: unknown, args: A): Promise<T> => {
      const upstream: Upstream<R> = (_key, load) => call.apply(self, withLoad ? [...args, load] : args);
      return silenced((async () => verb(keyFor(...args), upstream, optionsFor(args)))());
    };
  const get = read(port.get);
  const lookup = read(port.lookup);
  const refresh = read(port.refresh);

  const wrapped = function (this: unknown, ...args: A): Promise<R> {
    return get(this, args);
  };
  return Object.assign(wrapped, {
    keyFor,
    lookup(this: unknown, ...args: A): Promise<Lookup<R>> {
      return lookup(selfOf(this, wrapped), args);
    },
    refresh(this: unknown, ...args: A): Promise<R> {
      return refresh(selfOf(this, wrapped), args);
    },
    set(args: A, value: R): Promise<void> {
      return silenced((async () => port.set(keyFor(...args), value, optionsFor(args)))());
    },
    expire(...args: A): Promise<void> {
      return silenced((async () => port.expire(keyFor(...args)))());
    },
    clear(): Promise<void> {
      return port.clear(prefix);
    },
    with(options: ReadOptions): (...args: A) => Promise<R> {
      const get = read((key, upstream, own) => port.get(key, upstream, { ...own, ...options }));
      return function (this: unknown, ...args: A): Promise<R> {
        return get(this, args);
      };
    },
    invalidate(...args: A): Promise<void> {
      return silenced((async () => void (await port.invalidate(keyFor(...args))))());
    },
  });
}

/** `wrapped.lookup(…)` has the wrapped function itself as `this`, which `fn` knows nothing of. */
function selfOf(self: unknown, wrapped: unknown): unknown {
  return self === wrapped ? undefined : self;
}
