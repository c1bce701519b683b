import { checkClock, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import type { Clock, MaybePromise, Writes } from '../contracts.js';
import { misuse } from '../errors.js';
import type { DeadLetter, PendingWrite } from '../writes/pending-write.js';
import type { WriteWatch } from '../writes/updates.js';
import type { CloseOptions, WriteStatus } from '../writes/write-behind.js';
import type { WriteEvent, WriteEventType } from '../writes/write-events.js';

/** Writes that are not delivered any more, as all tabs see them. See `DeadLetters` of `soloflight/writes`. */
export interface SharedDeadLetters<V> {
  list(): Promise<DeadLetter<V>[]>;
  requeue(id: string): Promise<void>;
  drop(id: string): Promise<void>;
}

/** The part of a `WriteBehind` that is used here. */
export interface WritesLike<V> {
  readonly deadLetters: SharedDeadLetters<V>;
  /** `takeOver`: this tab leads, so the queue has no other owner whose work counts. */
  open(options?: { readonly takeOver?: boolean }): Promise<void>;
  put(key: string, value: V, options?: CallOptions): Promise<void>;
  delete(key: string, options?: CallOptions): Promise<void>;
  update(key: string, fn: (current: V | undefined) => V, options?: SharedUpdateOptions<V>): Promise<V>;
  watch(key: string): WriteWatch;
  read(key: string): Promise<V | undefined>;
  peek(key: string): PendingWrite<V> | undefined;
  flush(options?: { readonly due?: boolean }): Promise<void>;
  status(): WriteStatus;
  wipe(): Promise<void>;
  on<T extends WriteEventType>(type: T, listener: (event: Extract<WriteEvent, { type: T }>) => void): () => void;
  close(options?: CloseOptions): Promise<void>;
}

/** Options of one write. */
export interface CallOptions {
  /**
   * Ends the wait for room under `maxPending`, and for a leading tab. The call is rejected once it is certain that the write
   * is not accepted, and resolves if it was: a leading tab that does not answer is replaced first, which takes four seconds.
   */
  readonly signal?: AbortSignal;
}

/** Options of one update. */
export interface SharedUpdateOptions<V> extends CallOptions {
  /** Gives the value of the key where nothing is pending. It may be asked again, if other tabs write meanwhile. */
  readonly current?: () => MaybePromise<V | undefined>;
}

/** Options of `sharedWrites`. */
export interface SharedWritesOptions<V> {
  /** Tells these writes from others of the origin. */
  readonly name: string;
  /** Makes the `WriteBehind`, in the leading tab, each time it starts to lead. Its queue must be the same in every tab. */
  readonly open: () => WritesLike<V>;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** The writes that `sharedWrites` returns. They can be the `writes` of a `TieredCache` in every tab. */
export interface SharedWrites<V> extends Writes<V> {
  /** Writes that are not delivered any more, whichever tab accepted them. */
  readonly deadLetters: SharedDeadLetters<V>;
  /** Whether this tab delivers. */
  readonly leading: boolean;
  /** Resolves once a tab leads and has read its queue. Other calls wait for that themselves. */
  open(): Promise<void>;
  /** Writes `value`. Resolves once the leading tab has accepted it. */
  put(key: string, value: V, options?: CallOptions): Promise<void>;
  /** Deletes `key`. Resolves once the leading tab has accepted that. */
  delete(key: string, options?: CallOptions): Promise<void>;
  /**
   * Writes the result of `fn` for the current value, and resolves with that result once it is accepted. The current value is
   * the pending one, whichever tab wrote it, or that of `current`. `fn` is called again if another write comes first. The
   * result replaces the pending value, whether there is a `merge` or not.
   */
  update(key: string, fn: (current: V | undefined) => V, options?: SharedUpdateOptions<V>): Promise<V>;
  /** The value of `key` after the pending writes of all tabs; `undefined` if there are none. */
  read(key: string): Promise<V | undefined>;
  /** The state of `key` after the pending writes of all tabs, if there are any. */
  peek(key: string): Promise<PendingWrite<V> | undefined>;
  /** Delivers what was accepted so far, whichever tab accepted it; with `due: true` only what is due by now. */
  flush(options?: { readonly due?: boolean }): Promise<void>;
  /** The status of the one `WriteBehind`. In other tabs, an error in it has only its name, message and code. */
  status(): Promise<WriteStatus>;
  /**
   * Gives up everything that is pending, whichever tab wrote it, and empties the queue: when a user signs out. All tabs forget
   * it. Nothing of it is delivered any more, unless the sink has it already.
   */
  wipe(): Promise<void>;
  /**
   * Calls `listener` for each event of `type` of the one `WriteBehind`, in all tabs, until the returned function is called.
   *
   * A tab hears of its own write before the call that made it resolves. When a tab takes the lead, all tabs hear `restore`
   * for each write that it found in the queue.
   */
  on<T extends WriteEventType>(type: T, listener: (event: Extract<WriteEvent, { type: T }>) => void): () => void;
  /** Leaves. If this tab leads, closes its `WriteBehind` with these options, and another tab goes on. */
  close(options?: CloseOptions): Promise<void>;
}

/** {@link SharedWritesOptions} with the defaults filled in. */
export type SharedWritesSettings<V> = Required<SharedWritesOptions<V>>;

/** @throws TypeError for an option that makes no sense. */
export function resolveSharedWrites<V>(options: SharedWritesOptions<V>): SharedWritesSettings<V> {
  checkObject('options', options);
  checkNames(options, ['name', 'open', 'clock']);
  const { name, open, clock = systemClock } = options;
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a name of at least one character', name);
  if (typeof open !== 'function') throw misuse('open', 'a function that makes a WriteBehind', open);
  checkClock(clock);
  return { name, open, clock };
}
