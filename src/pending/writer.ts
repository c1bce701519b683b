import { ignore, isThenable, silenced } from '../base/promises.js';
import type { HeldEntry } from '../entry.js';
import { FlightTimeoutError, misuse, TierTimeoutError } from '../errors.js';
import type { Taken, WriteCell, WritesContext, WritesPort } from '../ports.js';
import { WriteLanes } from './lanes.js';
import type { WriteSource } from './source.js';

type Write<V> = (signal: AbortSignal) => Promise<Taken<V> | undefined>;

/** A value that readers see before it is written. */
interface Shown<V> {
  readonly value: V;
  readonly entry: HeldEntry<V>;
  /** What memory held before. */
  readonly before: HeldEntry<V> | undefined;
}

/** Takes the writes of a cache to its upstream before the tiers get them, one at a time per key. */
export class Writer<V> implements WritesPort<V> {
  readonly #source: WriteSource<V>;
  readonly #context: WritesContext<V>;
  readonly #lanes: WriteLanes;
  readonly #unwatch: () => void;
  readonly pending: WritesPort<V>['pending'];

  constructor(source: WriteSource<V>, context: WritesContext<V>) {
    this.#source = source;
    this.#context = context;
    const { clock, scope, held, fence, invalidate } = context;
    this.#lanes = new WriteLanes(scope?.claims(clock, Infinity), clock);
    this.pending = source.pending && ((key) => this.#pending(key));
    this.#unwatch = source.watch((key, restored) => {
      this.#lanes.outrun(key);
      if (!restored) return void silenced(invalidate(key));
      // What storage has of it may be that very write. Reads ask for what is pending before they look there.
      fence(key);
      held.drop(key);
    });
  }

  write(cell: WriteCell<V>, value: V): Promise<void> {
    return this.#inLane(cell.key, async () => {
      const write: Write<V> = (signal) => this.#source.through(cell.key, value, { signal });
      const taken = await this.#accepted(cell.key, write, () => true);
      await this.#store(cell, taken ?? { value });
    });
  }

  /** Memory has the new value from the change on; if the upstream fails, what memory held before comes back, as stale. */
  update(cell: WriteCell<V>, change: (current: V | undefined) => V): Promise<V> {
    const { key } = cell;
    const source = this.#source;
    return this.#inLane(key, async () => {
      let shown: Shown<V> | undefined;
      // Where another write came first, what was shown is not the value, and never was.
      const takeBack = (): void => {
        if (shown !== undefined) this.#undo(key, shown);
        shown = undefined;
      };
      const current = (): Promise<V | undefined> => {
        takeBack();
        return cell.current();
      };
      const show = (value: V | undefined): V => {
        takeBack();
        shown = this.#show(cell, change(this.#context.isolation.give(value)));
        return shown.value;
      };
      let write: Write<V> = (signal) => source.update!(key, show, { signal, current });
      if (source.update === undefined) {
        const next = show(await current());
        write = (signal) => source.through(key, next, { signal });
      }
      const taken = await this.#accepted(key, write, () => shown !== undefined && this.#undo(key, shown));
      const { value: next } = shown as Shown<V>;
      await this.#store(cell, taken ?? { value: next });
      return source.update === undefined && taken !== undefined ? (taken.value as V) : next;
    });
  }

  close(): void {
    this.#unwatch();
  }

  #inLane<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#lanes.run(key, work);
    this.#context.background(turn);
    return turn;
  }

  #show({ key, entryOf }: WriteCell<V>, value: V): Shown<V> {
    const { held, fence } = this.#context;
    if (isThenable(value)) throw misuse('result of the function', 'a value, not a promise of one', value);
    const entry = entryOf(value);
    const before = held.peek(key);
    fence(key);
    held.hold(key, entry);
    return { value, entry, before };
  }

  /** Takes back what readers were shown. */
  #undo(key: string, { entry, before }: Shown<V>): true {
    const { held } = this.#context;
    const now = held.memory.peek(key);
    // Whatever came in between is newer than both, unless it only made this one stale.
    if (now === undefined || now.value !== entry.value || now.startedAt !== entry.startedAt) return true;
    if (before === undefined) held.drop(key);
    else held.hold(key, before);
    return true;
  }

  /** Brings what the upstream has taken into the tiers, unless a newer value was written past this cache since. */
  async #store({ key, set }: WriteCell<V>, { value }: Taken<V>): Promise<void> {
    if (this.#lanes.takeOutrun(key)) await this.#context.invalidate(key);
    else await set(value as V);
  }

  /**
   * Resolves with what `write` gives, or rejects after `undo`, which tells whether anything was written. A failed write may
   * have reached the upstream all the same: what is stored gets stale.
   */
  async #accepted(key: string, write: Write<V>, undo: () => boolean): Promise<Taken<V> | undefined> {
    this.#lanes.takeOutrun(key);
    try {
      return await this.#withinDuration(key, write);
    } catch (error) {
      if (undo()) await this.#context.expire(key);
      throw error;
    }
  }

  /** What `call` gives, or a `FlightTimeoutError` at `maxDuration`. */
  #withinDuration<T>(key: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, maxDuration, expire } = this.#context;
    const controller = new AbortController();
    const result = (async () => call(controller.signal))();
    if (maxDuration === Infinity) return result;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(maxDuration, () => {
        const error = new FlightTimeoutError(key, maxDuration, maxDuration);
        reject(error);
        controller.abort(error);
        // It may have landed only now: after what was loaded meanwhile, and after later writes.
        const late = (): void => void silenced(expire(key));
        result.then(late, late);
      });
      result.then(resolve, reject).then(cancel, cancel);
    });
  }

  /**
   * What is pending for `key`, or nothing if that takes longer than storage may: a queue, or a tab that leads, may hang, and is
   * a missing tier then. What turns out to be pending afterwards makes unusable what was read past it.
   */
  async #pending(key: string): Promise<Taken<V> | undefined> {
    const { clock, readTimeout, invalidate, report } = this.#context;
    const pending = this.#source.pending?.(key);
    if (pending === undefined) return undefined;
    let cancel = ignore as () => void;
    const overdue = new Promise<undefined>((resolve) => {
      cancel = clock.after(readTimeout, () => {
        report(key, new TierTimeoutError('writes', 'get', readTimeout));
        resolve(undefined);
        void silenced(pending.then((write) => write && invalidate(key)));
      });
    });
    try {
      return await Promise.race([pending, overdue]);
    } catch (error) {
      report(key, error);
      return undefined;
    } finally {
      cancel();
    }
  }
}
