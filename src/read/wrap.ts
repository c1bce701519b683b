import { checkFunction, checkObject } from '../base/checks.js';
import { keyOf } from '../base/key.js';
import { silenced } from '../base/promises.js';
import type { MaybePromise, Upstream } from '../contracts.js';
import { misuse } from '../errors.js';
import { resolveLifetime, type LifetimeOptions } from './lifetime.js';
import type { Lookup } from './outcome.js';

/** Options of `TieredCache.wrap`. */
export interface WrapOptions<A extends unknown[], R> extends Omit<LifetimeOptions<R>, 'tags'> {
  /** Tells the keys of this function from those of others in the same cache. Needed for a function without a name. @default the function's name */
  readonly name?: string;
  /** Makes the key, where arguments can't be told apart by content or only some of them matter. @default all arguments, by `keyOf` */
  readonly key?: (...args: A) => string;
  /** Groups the values belong to, or a function of the arguments. */
  readonly tags?: readonly string[] | ((...args: A) => readonly string[]);
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
  /** The key that these arguments have in the cache. @throws TypeError for arguments that no key can be made of. */
  keyFor(...args: A): string;
}

/** What wrapping needs of a cache. */
export interface WrapPort<R> {
  readonly get: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<R>;
  readonly lookup: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<Lookup<R>>;
  readonly refresh: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<R>;
  readonly invalidate: (key: string) => Promise<unknown>;
}

/** Makes a cached version of `fn`. `this` is handed on, and is no part of the key. */
export function wrap<A extends unknown[], R>(
  port: WrapPort<R>,
  fn: (...args: A) => MaybePromise<R>,
  options: WrapOptions<A, R>,
): Wrapped<A, R> {
  if (typeof fn !== 'function') throw misuse('fn', 'a function', fn);
  checkObject('options', options);
  checkFunction('key', options.key);
  const { name = fn.name, key, tags, ...lifetime } = options;
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
  /** Bad arguments are a rejection, like everything else that goes wrong in an async function. */
  const read =
    <T>(verb: (key: string, upstream: Upstream<R>, options: LifetimeOptions<R>) => Promise<T>) =>
    (self: unknown, args: A): Promise<T> =>
      silenced((async () => verb(keyFor(...args), () => fn.apply(self, args), optionsFor(args)))());
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
    invalidate(...args: A): Promise<void> {
      return silenced((async () => void (await port.invalidate(keyFor(...args))))());
    },
  });
}

/** `wrapped.lookup(…)` has the wrapped function itself as `this`, which `fn` knows nothing of. */
function selfOf(self: unknown, wrapped: unknown): unknown {
  return self === wrapped ? undefined : self;
}
