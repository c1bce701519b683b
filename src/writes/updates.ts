import { isThenable } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { PendingWrite } from './pending-write.js';

/** The parts that {@link Updates} works with. */
export interface UpdatesParts<V> {
  /** The state of `key` after its pending writes. */
  readonly find: (key: string) => PendingWrite<V> | undefined;
  /** Accepts a value that replaces what is pending. */
  readonly accept: (key: string, value: V, call: string | undefined) => Promise<void>;
}

/** One update. */
export interface Update<V> {
  readonly key: string;
  readonly fn: (current: V | undefined) => V;
  /** Gives the value of a key without pending writes. */
  readonly current: ((key: string) => MaybePromise<V | undefined>) | undefined;
  /** The id of the call, if it has one. */
  readonly call: string | undefined;
  /** Runs `apply`, which accepts the write, as soon as there is room. */
  readonly enter: (apply: () => MaybePromise<V | undefined>) => MaybePromise<V | undefined>;
}

/** Tracks whether what is pending for a key has changed since it began. */
export interface WriteWatch {
  /** Whether a write became pending since, or one that was pending is over for another reason than its delivery. */
  readonly outdated: boolean;
  /** Ends it. */
  end(): void;
}

interface Watch {
  outdated: boolean;
}

/** Writes computed from the current value, never from an outdated one. */
export class Updates<V> {
  readonly #parts: UpdatesParts<V>;
  /** Updates that wait for the current value, or for room. */
  readonly #watches = new Map<string, Set<Watch>>();

  constructor(parts: UpdatesParts<V>) {
    this.#parts = parts;
  }

  /** Called for every write that becomes pending, or is taken back, given up or replaced. */
  outdate(key: string): void {
    if (this.#watches.size > 0) for (const watch of this.#watches.get(key) ?? []) watch.outdated = true;
  }

  /** Calls `fn` with the current value and accepts its result, in one step. */
  async run(update: Update<V>): Promise<V> {
    const { key, current, enter } = update;
    for (;;) {
      const watch = this.#watch(key);
      try {
        // A write that is pending now may be delivered before there is room, which changes the current value.
        if (this.#parts.find(key) !== undefined) watch.outdated = true;
        const base = watch.outdated ? undefined : await current?.(key);
        const updated = await enter(() => this.#apply(update, base, watch));
        if (updated !== undefined) return updated;
      } finally {
        this.#unwatch(key, watch);
      }
    }
  }

  /** Gives nothing if `base` is outdated: a write came and went since it was fetched. */
  #apply({ key, fn, call }: Update<V>, base: V | undefined, watch: Watch): MaybePromise<V | undefined> {
    const pending = this.#parts.find(key);
    if (pending === undefined && watch.outdated) return undefined;
    const value = fn(pending === undefined ? base : pending.value);
    if (value === undefined) throw misuse('result of fn', 'a value (use `delete` to remove a key)', value);
    if (isThenable(value)) throw misuse('result of fn', 'a value, not a promise of one', value);
    return this.#parts.accept(key, value, call).then(() => value);
  }

  watch(key: string): WriteWatch {
    const watch = this.#watch(key);
    return Object.assign(watch, { end: () => this.#unwatch(key, watch) });
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
