import type { BackplaneMessage, LoadReason, TagMode } from '../contracts.js';
import { isThenable } from './promises.js';
import { warnOf } from './unheard.js';

/**
 * What happens in a cache, as plain objects. Durations are milliseconds. Keys are given as they are, values never.
 *
 * `hit`, `stale`, `fallback` and `coalesced` come once per read, and `getStats()` counts the same.
 */
export type CacheEvent =
  /** A fresh value was served from `tier`. */
  | { readonly type: 'hit'; readonly key: string; readonly tier: string }
  /** A stale value was served from `tier`, a reload follows. */
  | { readonly type: 'stale'; readonly key: string; readonly tier: string }
  /** Nothing usable was found: the upstream is asked, once for all reads that wait for it. */
  | { readonly type: 'miss'; readonly key: string }
  /** The load failed, or was too slow, and a stored value was served instead: to a caller, so not for a reload in the background. */
  | { readonly type: 'fallback'; readonly key: string; readonly tier: string; readonly error: unknown }
  /** A caller joined a flight. */
  | { readonly type: 'coalesced'; readonly key: string }
  /** `absent`: the upstream said that there is nothing. */
  | {
      readonly type: 'load';
      readonly key: string;
      readonly reason: LoadReason;
      readonly durationMs: number;
      readonly absent: boolean;
    }
  | {
      readonly type: 'load-error';
      readonly key: string;
      readonly reason: LoadReason;
      readonly durationMs: number;
      readonly error: unknown;
    }
  /** A flight for `key` was opened, in the tick of the call that leads it. `flight` tells flights for one key apart. */
  | {
      readonly type: 'flight';
      readonly phase: 'lead';
      readonly key: string;
      readonly flight: number;
      readonly reason: LoadReason;
    }
  /** Somebody joined it, in the tick of that call. `subscribers`: callers that wait now. */
  | {
      readonly type: 'flight';
      readonly phase: 'join';
      readonly key: string;
      readonly flight: number;
      readonly subscribers: number;
    }
  /** It ended. `loaded`: whether the upstream was called. `fallback`: whether a stored value stood in. */
  | {
      readonly type: 'flight';
      readonly phase: 'settle';
      readonly key: string;
      readonly flight: number;
      readonly reason: LoadReason;
      readonly outcome: FlightOutcome;
      readonly loaded: boolean;
      readonly fallback: boolean;
      readonly subscribers: number;
      readonly durationMs: number;
    }
  /** A storage tier answered, failed, or did not answer in time. */
  | {
      readonly type: 'storage';
      readonly tier: string;
      readonly operation: string;
      readonly outcome: StorageOutcome;
      readonly durationMs: number;
    }
  /** A background reload was started. */
  | { readonly type: 'revalidate'; readonly key: string }
  | { readonly type: 'set'; readonly key: string }
  | { readonly type: 'invalidate'; readonly key: string }
  | { readonly type: 'expire'; readonly key: string }
  /** Entries with these tags were invalidated or expired. */
  | { readonly type: 'tags'; readonly tags: readonly string[]; readonly mode: TagMode }
  /** The entries whose keys begin with `prefix` were invalidated; without one, all. */
  | { readonly type: 'clear'; readonly prefix?: string }
  /** Another process, `origin`, changed `keys`, or what has one of `tags` or begins with `prefix`, or everything, at the instant `at` of its clock. */
  | ({ readonly type: 'remote' } & Pick<
      BackplaneMessage,
      'kind' | 'keys' | 'tags' | 'mode' | 'prefix' | 'origin' | 'at'
    >)
  /** A storage tier missed a change of `key`. It is told of it again by a timer, until it has taken it. */
  | { readonly type: 'invalidation-pending'; readonly key: string; readonly tier: string }
  /** A storage tier failed, hung or answered garbage; the cache went on without it. */
  | {
      readonly type: 'tier-error';
      readonly tier: string;
      readonly operation: string;
      readonly key?: string;
      readonly error: unknown;
    }
  /** Something the user handed in (a listener, a `ttl` or `defer` function …) failed; the read went on. */
  | { readonly type: 'error'; readonly source: string; readonly key?: string; readonly error: unknown };

/** How a flight ended. */
export type FlightOutcome = 'ok' | 'error' | 'timeout' | 'aborted';

/** How one operation of a storage tier ended. A reading is a hit or a miss. */
export type StorageOutcome = 'ok' | 'hit' | 'miss' | 'error' | 'timeout';

/** Names of the events of a cache. */
export type CacheEventType = CacheEvent['type'];

const TYPES: ReadonlySet<string> = new Set<CacheEventType>([
  ...(['hit', 'stale', 'miss', 'fallback', 'coalesced', 'load', 'load-error'] as const),
  ...(['revalidate', 'set', 'invalidate', 'expire', 'tags', 'clear', 'tier-error', 'error'] as const),
  ...(['invalidation-pending', 'flight', 'storage', 'remote'] as const),
]);

/** Whether there are events called `name`. */
export function isEventType(name: unknown): name is CacheEventType {
  return TYPES.has(name as string);
}

type Listener = (event: never) => unknown;

/** What all unions of events have in common: the event that tells of failures in what the user handed in. */
type AnyEvent =
  | { readonly type: string }
  | { readonly type: 'error'; readonly source: string; readonly error: unknown };

/** The listeners of one cache, or of another source of events `E`, which must have an `error` event. */
export class Events<E extends AnyEvent = CacheEvent> {
  readonly #listeners = new Map<E['type'], Set<Listener>>();
  /** Whether anybody listens to anything: one field to look at on the hot path. */
  heard = false;
  /** Whether a failure that nobody heard was told of: once for a cache and its namespaces. */
  readonly #warned: { yet: boolean };

  constructor(whole?: Events<E>) {
    this.#warned = whole === undefined ? { yet: false } : whole.#warned;
  }

  /** Calls `listener` for each event of `type` until the returned function is called. */
  on<T extends E['type']>(type: T, listener: (event: Extract<E, { type: T }>) => void): () => void {
    let listeners = this.#listeners.get(type);
    if (listeners === undefined) this.#listeners.set(type, (listeners = new Set()));
    this.heard = true;
    // A function of its own, so that the same listener registered twice is called twice and leaves one at a time.
    const own: Listener = (event) => listener(event);
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(type) === listeners) this.#listeners.delete(type);
      this.heard = this.#listeners.size > 0;
    };
  }

  /** Whether an event of `type` would reach anybody: ask before building one. */
  wants(type: E['type']): boolean {
    return this.heard && this.#listeners.has(type);
  }

  /** Hands `event` to its listeners. What one throws becomes an `error` event, never the caller's problem. */
  emit(event: E): void {
    const listeners = this.#listeners.get(event.type);
    if (listeners === undefined) return this.#unheard(event);
    for (const listener of [...listeners]) {
      try {
        const returned: unknown = listener(event as never);
        // An async listener fails later, and nobody else looks at its promise.
        if (isThenable(returned)) returned.then(undefined, (error: unknown) => this.#listenerFailed(event, error));
      } catch (error) {
        this.#listenerFailed(event, error);
      }
    }
  }

  /** A path that is wrong, or a server that is away, would otherwise only be seen in the load of the upstream. */
  #unheard(event: E): void {
    if ((event.type !== 'tier-error' && event.type !== 'error') || this.#warned.yet) return;
    this.#warned.yet = true;
    warnOf(event);
  }

  #listenerFailed(event: E, error: unknown): void {
    // A failing `error` listener would otherwise be told of itself for ever.
    if (event.type !== 'error') this.emit({ type: 'error', source: 'listener', error } as AnyEvent as E);
  }

  /** Drops all listeners. */
  clear(): void {
    this.#listeners.clear();
    this.heard = false;
  }
}
