import { checkSignal } from '../base/checks.js';
import { KeepAlive } from '../base/keep-alive.js';
import { rejection } from '../base/promises.js';
import { atEndOfTurn } from '../base/turn.js';
import { BatchRun, type ItemResult } from './batch-run.js';
import { resolveBatcherOptions, type BatcherOptions, type BatcherSettings } from './batcher-options.js';
import { BatcherClosedError } from './write-errors.js';

/** An item and its caller. */
interface Member<I, O> {
  readonly item: I;
  /** Counts up from 1. */
  readonly order: number;
  /** Monotonic milliseconds at which it was added. */
  readonly at: number;
  readonly promise: Promise<O>;
  readonly resolve: (value: O) => void;
  readonly reject: (reason: unknown) => void;
  /** Stops listening to the caller's signal. Written once, before the member can be taken. */
  release: () => void;
  settled: boolean;
}

/**
 * Collects items and hands them to one handler, which gives each caller its own result.
 *
 * One batch is handled at a time, in the order in which items were added; items that come meanwhile go to the next.
 * An item without a result keeps the process alive. A result that nobody awaits never counts as an unhandled rejection.
 *
 * @example
 * ```ts
 * import { Batcher } from 'soloflight/writes';
 *
 * const doubles = new Batcher<number, number>({
 *   window: '50ms',
 *   handle: (numbers) => numbers.map((number) => number * 2),
 * });
 * const results = Promise.all([doubles.add(1), doubles.add(2)]);
 * await doubles.close(); // does not wait for the window's end
 * console.log(await results); // [ 2, 4 ]
 * ```
 */
export class Batcher<I, O = void> {
  readonly #settings: BatcherSettings<I, O>;
  readonly #alive: KeepAlive;
  /** In the order they were added. Aborted ones are taken out. */
  readonly #waiting = new Set<Member<I, O>>();
  #running: readonly Member<I, O>[] = [];
  #count = 0;
  #lastAt = 0;
  /** Items up to this one don't wait for the window's end. */
  #flushTo = 0;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  /** @throws TypeError for an option that makes no sense. */
  constructor(options: BatcherOptions<I, O>) {
    this.#settings = resolveBatcherOptions(options);
    this.#alive = new KeepAlive(this.#settings.clock);
  }

  /** Number of items without a result, those being handled included. */
  get pending(): number {
    return this.#waiting.size + this.#running.filter(({ settled }) => !settled).length;
  }

  /**
   * Adds `item` to the batch being collected and resolves with its result.
   *
   * An abort before the batch is handled takes the item out of it. Later it only releases the caller, and the handler's
   * signal aborts once all callers of its batch have left.
   *
   * @throws {@link BatcherClosedError}, the signal's reason, or the reason why the item failed.
   */
  add(item: I, options: { readonly signal?: AbortSignal } = {}): Promise<O> {
    const signal = options?.signal;
    try {
      checkSignal(signal);
    } catch (error) {
      return rejection(error);
    }
    if (this.#closed) return rejection(new BatcherClosedError());
    if (signal?.aborted === true) return rejection(signal.reason);
    const member = this.#member(item);
    this.#waiting.add(member);
    if (signal !== undefined) this.#listen(member, signal);
    this.#pump(false);
    return this.#alive.during(member.promise);
  }

  /** Hands over what was added so far without waiting for the window's end, and resolves when each item has its result. */
  async flush(): Promise<void> {
    const members = [...this.#running, ...this.#waiting];
    this.#flushTo = this.#count;
    this.#pump();
    await Promise.allSettled(members.map(({ promise }) => promise));
  }

  /** Takes no more items and flushes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #member(item: I): Member<I, O> {
    let resolve!: (value: O) => void;
    let reject!: (reason: unknown) => void;
    const promise = new Promise<O>((fulfil, refuse) => {
      resolve = fulfil;
      reject = refuse;
    });
    this.#count += 1;
    this.#lastAt = this.#settings.clock.monotonic();
    return { item, order: this.#count, at: this.#lastAt, promise, resolve, reject, release() {}, settled: false };
  }

  #listen(member: Member<I, O>, signal: AbortSignal): void {
    const leave = (): void => {
      this.#waiting.delete(member);
      settle(member, { error: signal.reason });
      this.#abandonIfEmpty?.(signal.reason);
    };
    member.release = () => signal.removeEventListener('abort', leave);
    signal.addEventListener('abort', leave);
  }

  /** Stops the batch being handled once nobody waits for it. */
  #abandonIfEmpty: ((reason: unknown) => void) | undefined;

  /**
   * Starts the batch that is due, if none is being handled, or waits for it to become due.
   *
   * `byTime: false` leaves a batch whose time has come to the timer: a window of 0 then gathers what one turn adds.
   */
  #pump(byTime = true): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#running.length > 0) return;
    const now = this.#settings.clock.monotonic();
    const dueAt = this.#dueAt(first);
    if (this.#waiting.size >= this.#settings.maxItems || first.order <= this.#flushTo || (byTime && now >= dueAt)) {
      void this.#handle(this.#take());
      return;
    }
    // Each item moves the due time of a debounced batch: the timer looks again when it fires, instead of being reset.
    this.#cancelTimer ??= this.#after(Math.max(0, dueAt - now), () => {
      this.#cancelTimer = undefined;
      this.#pump();
    });
  }

  /** A timer, or for a window of 0 the end of the turn: a timer of 0 takes a millisecond. */
  #after(ms: number, run: () => void): () => void {
    const { clock, window } = this.#settings;
    if (window > 0) return clock.after(ms, run);
    let isWanted = true;
    atEndOfTurn(() => {
      if (isWanted) run();
    });
    return () => {
      isWanted = false;
    };
  }

  #dueAt(first: Member<I, O>): number {
    const { debounce, window, maxWait } = this.#settings;
    return debounce ? Math.min(this.#lastAt + window, first.at + maxWait) : first.at + window;
  }

  #take(): Member<I, O>[] {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const members: Member<I, O>[] = [];
    for (const member of this.#waiting) {
      if (members.length === this.#settings.maxItems) break;
      members.push(member);
      this.#waiting.delete(member);
    }
    return members;
  }

  async #handle(members: readonly Member<I, O>[]): Promise<void> {
    this.#running = members;
    const run = new BatchRun(this.#settings);
    this.#abandonIfEmpty = (reason) => {
      if (members.every(({ settled }) => settled)) run.abandon(reason);
    };
    const results = await run.results(members.map(({ item }) => item));
    this.#abandonIfEmpty = undefined;
    this.#running = [];
    for (const [index, member] of members.entries()) settle(member, results[index] as ItemResult<O>);
    this.#pump();
  }
}

function settle<O>(member: Member<unknown, O>, result: ItemResult<O>): void {
  if (member.settled) return;
  member.settled = true;
  member.release();
  if ('error' in result) member.reject(result.error);
  else member.resolve(result.value);
}
