import { systemClock } from '../clock.js';
import type { Clock } from '../contracts.js';
import { misuse } from '../errors.js';
import { checkClock, checkNames, checkObject } from '../option-checks.js';

/** What is used of a `WriteBehind`. */
export interface WritesLike<V, S> {
  put(key: string, value: V): Promise<void>;
  delete(key: string): Promise<void>;
  read(key: string): Promise<V | undefined>;
  flush(): Promise<void>;
  status(): S;
  close(options?: { readonly flush?: boolean }): Promise<void>;
}

/** Options of `sharedWrites`. */
export interface SharedWritesOptions<V, S> {
  /** Tells these writes from others of the origin. */
  readonly name: string;
  /** Makes the `WriteBehind`, in the tab that leads, each time it begins to. Its queue must be the same in every tab. */
  readonly open: () => WritesLike<V, S>;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** What `sharedWrites` makes. */
export interface SharedWrites<V, S> {
  /** Whether this tab delivers. */
  readonly leading: boolean;
  /** Writes `value`. Resolves once the tab that leads has accepted it. */
  put(key: string, value: V): Promise<void>;
  /** Deletes `key`. Resolves once the tab that leads has accepted that. */
  delete(key: string): Promise<void>;
  /** The value of `key` as the pending writes of all tabs will leave it; `undefined` if there are none. */
  read(key: string): Promise<V | undefined>;
  /** Delivers what was accepted so far, whichever tab accepted it. */
  flush(): Promise<void>;
  /** How the one `WriteBehind` is doing. */
  status(): Promise<S>;
  /** Leaves. If this tab leads, its `WriteBehind` is closed, with `flush: false` without delivering, and another tab goes on. */
  close(options?: { readonly flush?: boolean }): Promise<void>;
}

/** {@link SharedWritesOptions} with nothing left open. */
export type SharedWritesSettings<V, S> = Required<SharedWritesOptions<V, S>>;

/** @throws TypeError for an option that makes no sense. */
export function resolveSharedWrites<V, S>(options: SharedWritesOptions<V, S>): SharedWritesSettings<V, S> {
  checkObject('options', options);
  checkNames(options, ['name', 'open', 'clock']);
  const { name, open, clock = systemClock } = options;
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a name of at least one character', name);
  if (typeof open !== 'function') throw misuse('open', 'a function that makes a WriteBehind', open);
  checkClock(clock);
  return { name, open, clock };
}
