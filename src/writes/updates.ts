import { isThenable } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { PendingWrite } from './pending-write.js';

/** What {@link Updates} works with. */
export interface UpdatesParts<V> {
  /** What is pending for `key`. */
  readonly find: (key: string) => PendingWrite<V> | undefined;
  /** Accepts a value that replaces what is pending. */
  readonly accept: (key: string, value: V) => Promise<void>;
}

/** One update. */
export interface Update<V> {
  readonly key: string;
  readonly fn: (current: V | undefined) => V;
  /** Gives the value where nothing is pending. */
  readonly current: ((key: string) => MaybePromise<V | undefined>) | undefined;
  /** Runs `apply`, which accepts the write, as soon as there is room. */
  readonly enter: (apply: () => MaybePromise<V | undefined>) => MaybePromise<V | undefined>;
}

/** Whether the value that an update has fetched may be another by now. */
interface Watch {
  outdated: boolean;
}

/** Writes made of the current value. None is made of one that is not current any more. */
export class Updates<V> {
  readonly #parts: UpdatesParts<V>;
  /** Updates that wait for the current value, or for room. */
  readonly #watches = new Map<string, Set<Watch>>();

  constructor(parts: UpdatesParts<V>) {
    this.#parts = parts;
  }

  /** Told of every write that becomes pending. */
  outdate(key: string): void {
    if (this.#watches.size > 0) for (const watch of this.#watches.get(key) ?? []) watch.outdated = true;
  }

  /** Calls `fn` with the current value and accepts what it gives, in one step. */
  async run(update: Update<V>): Promise<V> {
    const { key, current, enter } = update;
    for (;;) {
      const watch = this.#watch(key);
      try {
        // What is pending now may be delivered before there is room: then the current value is another.
        if (this.#parts.find(key) !== undefined) watch.outdated = true;
        const base = watch.outdated ? undefined : await current?.(key);
        const updated = await enter(() => this.#apply(update, base, watch));
        if (updated !== undefined) return updated;
      } finally {
        this.#unwatch(key, watch);
      }
    }
  }

  /** Gives nothing if `base` is no longer the current value: a write came and went since it was asked for. */
  #apply({ key, fn }: Update<V>, base: V | undefined, watch: Watch): MaybePromise<V | undefined> {
    const pending = this.#parts.find(key);
    if (pending === undefined && watch.outdated) return undefined;
    const value = fn(pending === undefined ? base : pending.value);
    if (value === undefined) throw misuse('result of fn', 'a value (there is `delete`)', value);
    if (isThenable(value)) throw misuse('result of fn', 'a value, not a promise of one', value);
    return this.#parts.accept(key, value).then(() => value);
  }

  #watch(key: string): Watch {
    const watch: Watch = { outdated: false };
    const watches = this.#watches.get(key);
    if (watches === undefined) this.#watches.set(key, new Set([watch]));
    else watches.add(watch);
    return watch;
  }

  #unwatch(key: string, watch: Watch): void {
    const watches = this.#watches.get(key);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(key);
  }
}
