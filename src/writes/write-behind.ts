import { checkFunction, checkSignal } from '../base/checks.js';
import { turnClock, type TurnClock } from '../base/clock.js';
import { copyOf } from '../base/copy.js';
import { parseDuration } from '../base/duration.js';
import { Events } from '../base/events.js';
import { KeepAlive } from '../base/keep-alive.js';
import { isThenable, promised, rejection, silenced } from '../base/promises.js';
import type { Duration, MaybePromise, QueuedWrite, Writes } from '../contracts.js';
import { misuse, type SoloflightError } from '../errors.js';
import { connectPending } from '../pending/behind.js';
import type { WritesConnector } from '../ports.js';
import { DeadLetters } from './dead-letters.js';
import { Delivery } from './delivery.js';
import { Journal } from './journal.js';
import { Lanes, type Held, type Incoming } from './lanes.js';
import { Opening } from './opening.js';
import { OwnedQueue } from './owned-queue.js';
import { toPendingWrite, type PendingWrite } from './pending-write.js';
import { Room } from './room.js';
import { Settling } from './settling.js';
import { Updates, type WriteWatch } from './updates.js';
import { TooManyWritesError, WritesClosedError, WritesDiscardedError, WritesUndeliveredError } from './write-errors.js';
import { isWriteEventType, type WriteEvent, type WriteEventType } from './write-events.js';
import { acceptedAt, newWriter, WriteIds } from './write-ids.js';
import { resolveWriteOptions, type WriteBehindOptions, type WriteSettings } from './write-options.js';

/** How a `WriteBehind` is doing. */
export interface WriteStatus {
  /** Accepted writes that are not over. Those in a queue that was not read yet are not counted. */
  readonly pending: number;
  /** Pending writes that are being delivered. */
  readonly inFlight: number;
  /** Callers waiting for room under `maxPending`. Their writes are not accepted yet. */
  readonly waiting: number;
  /** Milliseconds since the oldest pending write was accepted; `null` if nothing is pending. */
  readonly oldestAge: number | null;
  /** The sink's last error, even if it succeeded since; `undefined` if there was none. */
  readonly lastError: unknown;
  /** Deliveries in a row that failed as a whole. */
  readonly failures: number;
  /** When the sink last answered, epoch milliseconds. */
  readonly lastDeliveryAt: number | null;
  /** When the next delivery is planned, epoch milliseconds; `null` if none is. */
  readonly nextAttempt: number | null;
}

/** Options of `open`. */
export interface OpenOptions {
  /** Takes the queue from another owner at once. @default false */
  readonly takeOver?: boolean;
}

/** Options of `close`. */
export interface CloseOptions {
  /** Delivers what is pending first. `false` leaves it to the queue. @default true */
  readonly flush?: boolean;
  /** Waits neither for the sink nor for anything to be delivered: the sink's signal aborts. @default false */
  readonly abort?: boolean;
  /** The longest that this takes. After that as `abort`, and the queue is waited for no longer. @default Infinity */
  readonly within?: Duration;
}

/** Options of one write. */
export interface WriteOptions {
  /** Ends the wait for room under `maxPending`. An accepted write is not taken back. */
  readonly signal?: AbortSignal;
  /**
   * An id of this call, kept with the write in queues that keep whole writes (`indexedDbQueue`, `webStorageQueue`). The event
   * `restore` tells it, so that a caller whose process ended before the answer learns that the write was accepted.
   */
  readonly call?: string;
}

/** Options of one update. */
export interface UpdateOptions<V> extends WriteOptions {
  /** Gives the value of the key where nothing is pending, instead of the option `current` of the `WriteBehind`. */
  readonly current?: () => MaybePromise<V | undefined>;
}

/** The result of a `put` that has nothing to wait for. */
const ACCEPTED: Promise<void> = Promise.resolve();

/**
 * Accepts writes into a queue and delivers them to a sink in batches.
 *
 * A promise of `put`, `update` or `delete` resolves once the write is accepted. From then on the write is as safe as the
 * queue is: it reaches the sink at least once, in the order of its key, or becomes a dead letter. Writes of one key that
 * no sink can have seen become one. A rejection that nobody awaits never counts as unhandled. Pending writes keep the
 * process alive if they would end with it; those in a queue that outlives the process don't, and are delivered by the next
 * one.
 *
 * @example
 * ```ts
 * import { WriteBehind } from 'soloflight/writes';
 *
 * const writes = new WriteBehind<number>({
 *   sink: (batch) => console.log(batch.map(({ key, value }) => [key, value])), // [ [ 'likes:1', 3 ] ]
 * });
 * for (let i = 0; i < 3; i++) await writes.update('likes:1', (likes = 0) => likes + 1);
 * await writes.close();
 * ```
 */
export class WriteBehind<V> implements Writes<V> {
  /** Lets a cache take its writes here: `writes: new WriteBehind(…)`. */
  readonly 'soloflight.connect': WritesConnector<V> = connectPending<V>(this);
  /** Writes that are not delivered any more. */
  readonly deadLetters: DeadLetters<V>;
  readonly #settings: WriteSettings<V>;
  readonly #events = new Events<WriteEvent>();
  readonly #ids: WriteIds;
  readonly #now: TurnClock;
  /** The queue as its owner uses it; `undefined` for one without owners. */
  readonly #owned: OwnedQueue | undefined;
  readonly #lanes: Lanes;
  readonly #journal: Journal;
  readonly #settling: Settling;
  readonly #room: Room;
  readonly #delivery: Delivery<V>;
  readonly #opening: Opening;
  readonly #updates: Updates<V>;
  readonly #alive: KeepAlive;
  #isAlive = false;
  /** Calls of {@link wipe}. */
  #wipes = 0;
  #closing: Promise<void> | undefined;
  #released: Promise<void> | undefined;

  /**
   * Given a queue, starts to deliver its writes within `flushEvery`. Does nothing else outside its own memory.
   *
   * @throws TypeError for an option that makes no sense.
   */
  constructor(options: WriteBehindOptions<V>) {
    const settings = (this.#settings = resolveWriteOptions(options));
    const { maxPending, clock } = settings;
    const owned = (this.#owned = this.#ownedQueue(settings));
    const queue = owned ?? settings.queue;
    const failed = (operation: string, error: unknown): void =>
      this.#events.emit({ type: 'queue-error', operation, error });
    const restore = (write: QueuedWrite): void => this.#restore(write, 'restore');
    const requeue = (write: QueuedWrite): void => this.#restore(write, 'accept');
    const freed = (): void => {
      this.#room.open();
      this.#keepAlive();
    };
    this.#alive = new KeepAlive(clock);
    this.#now = turnClock(clock);
    const ids = (this.#ids = new WriteIds(clock));
    const lanes = (this.#lanes = new Lanes(settings.merge, ids));
    const journal = (this.#journal = new Journal({
      ...{ queue, failed, withdraw: (held) => this.#withdraw(held) },
      doubted: () => this.#settling.start(),
    }));
    this.#settling = new Settling({ clock, retry: settings.retry, settle: () => journal.settle() });
    this.#room = new Room((key) => lanes.size < maxPending || lanes.coalesces(key));
    this.#opening = new Opening(settings.ownQueue, { queue, restore, failed });
    this.#delivery = new Delivery({
      ...{ settings, lanes, journal, ids, freed },
      outdate: (key) => this.#updates.outdate(key),
      confirm: () => owned?.confirm() ?? true,
      events: this.#events,
      open: () => this.#opening.open(),
    });
    this.#updates = new Updates({
      find: (key) => lanes.find<V>(key),
      accept: (key, value, call) =>
        this.#accept({ key, kind: 'put', value: copyOf('result of fn', value), call }, true),
    });
    const settled = (): Promise<void> => this.open().then(() => journal.idle());
    this.deadLetters = new DeadLetters<V>({ queue, restore: requeue, failed, settled });
    // Unlike a timer, an alarm (`schedule`) is still set after a restart.
    if (!settings.ownQueue && settings.schedule === undefined) this.#delivery.collect(settings.flushEvery);
  }

  /**
   * Reads the queue. Other calls do that by themselves; only {@link peek} does not.
   *
   * Becomes the queue's owner first, and waits up to `ownerWait` for another one to end. `takeOver: true` does not wait: for
   * those who know that the other one is gone, since they hold a lock, or that nothing it still does counts.
   *
   * @throws {@link WriteQueueError}, and an error with code `SOLOFLIGHT_QUEUE_OWNED` while the queue has another owner; the
   * next call tries again. Once another owner has taken the queue from this one, each call fails with that code.
   */
  open(options: OpenOptions = {}): Promise<void> {
    const owned = this.#owned;
    if (owned?.refusal !== undefined) return rejection(owned.refusal);
    if (options.takeOver === true && owned !== undefined) owned.takeOver = true;
    return this.#alive.during(this.#opening.open());
  }

  /**
   * Writes `value` as it is now. Resolves once that is accepted; reads see it at once. What the caller makes of `value`
   * later reaches nobody: it is copied as `structuredClone` does, which makes plain objects of instances of classes.
   *
   * @throws {@link TooManyWritesError}, {@link WriteQueueError}, {@link WritesClosedError}, what `merge` throws, or a
   * TypeError for a value that `structuredClone` does not take.
   */
  put(key: string, value: V, options?: WriteOptions): Promise<void> {
    if (value === undefined)
      return rejection(misuse('value', 'anything but undefined (use `delete` to remove a key)', value));
    if (isThenable(value)) return rejection(misuse('value', 'a value, not a promise of one: `await` it first', value));
    let own: V;
    try {
      own = copyOf('value', value);
    } catch (error) {
      return rejection(error);
    }
    return this.#write(key, 'put', own, options);
  }

  /** Deletes `key`, as a write in the order of the others. Resolves once that is accepted. */
  delete(key: string, options?: WriteOptions): Promise<void> {
    return this.#write(key, 'delete', undefined, options);
  }

  /**
   * Writes the result of `fn` for the current value, and resolves with that result once it is accepted.
   *
   * The current value is the pending one, or, where nothing is pending, that of the option `current`. No other write of
   * this `WriteBehind` comes in between. The result replaces the pending value, whether there is a `merge` or not.
   */
  update(key: string, fn: (current: V | undefined) => V, options?: UpdateOptions<V>): Promise<V> {
    return this.#alive.during(this.#update(key, fn, options));
  }

  /**
   * The value of `key` as pending writes will leave it; `undefined` if there are none, or if it will be deleted.
   *
   * @see {@link peek}, which tells these two apart.
   */
  async read(key: string): Promise<V | undefined> {
    checkKey(key);
    await this.open();
    return this.#lanes.find<V>(key)?.value;
  }

  /**
   * The state of `key` after its pending writes, if there are any. Synchronous, so it knows the queue only after {@link open}.
   *
   * Throws what `merge` throws.
   */
  peek(key: string): PendingWrite<V> | undefined {
    checkKey(key);
    return this.#lanes.find<V>(key);
  }

  /**
   * Tells from now on whether what is pending for `key` has changed, until its `end` is called. For an update whose value is
   * computed elsewhere: `update(key, () => value)`, with a function that throws if the watch is outdated.
   */
  watch(key: string): WriteWatch {
    checkKey(key);
    return this.#updates.watch(key);
  }

  /**
   * Delivers what was accepted so far at once, despite pauses after failures. With `due: true`, delivers only what is due
   * by now: for the alarm that `schedule` sets.
   *
   * Resolves when each of these writes was tried, or the sink failed as a whole; {@link status} tells what is left.
   *
   * @throws {@link WriteQueueError} if the queue could not be read.
   */
  async flush({ due = false }: { readonly due?: boolean } = {}): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      // Plans again: the alarm that called this would not call again by itself.
      if (this.#closing === undefined) this.#delivery.collect(this.#settings.flushEvery);
      throw error;
    }
    await this.#alive.during(due ? this.#delivery.deliverDue() : this.#delivery.deliver());
  }

  /**
   * Gives up everything that is pending, dead letters included, and empties the queue: when a user signs out.
   *
   * Nothing of it is delivered any more, unless the sink has it already: its signal aborts. Reads and caches forget it at
   * once. Later writes are accepted as before. What waits to be accepted is rejected with a {@link WritesDiscardedError}.
   *
   * @throws {@link WriteQueueError} if the queue can't be emptied, {@link WritesClosedError}, and an error with code
   * `SOLOFLIGHT_QUEUE_OWNED` if the queue has another owner.
   */
  wipe(): Promise<void> {
    if (this.#closing !== undefined) return rejection(new WritesClosedError());
    const refusal = this.#owned?.refusal;
    if (refusal !== undefined) return rejection(refusal);
    return this.#alive.during(this.#opening.after(() => this.#wipe()));
  }

  /**
   * Accepts no more writes, flushes, and closes the queue. What is not delivered then stays in the queue.
   *
   * A later call may shorten an earlier one, by `abort` or `within`.
   *
   * @throws {@link WritesUndeliveredError} if writes are left that only this process knew of.
   */
  close(options: CloseOptions = {}): Promise<void> {
    let limit: number;
    try {
      limit = parseDuration('within', options.within ?? Infinity, { infinite: true });
    } catch (error) {
      return rejection(error);
    }
    this.#closing ??= this.#alive.during(this.#close(options.flush ?? true));
    if (options.abort === true) this.#delivery.abandon(new WritesClosedError());
    return limit === Infinity ? this.#closing : this.#alive.during(this.#within(limit, this.#closing));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Calls `listener` for each event of `type` until the returned function is called. */
  on<T extends WriteEventType>(type: T, listener: (event: Extract<WriteEvent, { type: T }>) => void): () => void {
    if (!isWriteEventType(type)) throw misuse('type', 'the name of an event', type);
    if (typeof listener !== 'function') throw misuse('listener', 'a function', listener);
    return this.#events.on(type, listener);
  }

  /** The current state. Looks at each pending key once. */
  status(): WriteStatus {
    const { clock } = this.#settings;
    const delivery = this.#delivery;
    const oldest = this.#lanes.oldest;
    return {
      pending: this.#lanes.size,
      inFlight: delivery.inFlight,
      waiting: this.#room.waiting,
      oldestAge: oldest === undefined ? null : Math.max(0, Math.floor(clock.now() - acceptedAt(oldest))),
      lastError: delivery.lastError,
      failures: delivery.failures,
      lastDeliveryAt: delivery.lastDeliveryAt ?? null,
      nextAttempt: delivery.dueAt === Infinity ? null : Math.ceil(clock.now() + delivery.dueAt - clock.monotonic()),
    };
  }

  async #update(key: string, fn: (current: V | undefined) => V, options: UpdateOptions<V> = {}): Promise<V> {
    if (typeof fn !== 'function') throw misuse('fn', 'a function', fn);
    const { current = this.#settings.current } = options;
    checkFunction('current', current);
    checkKey(key);
    if (this.#closing !== undefined) throw new WritesClosedError(key);
    const wipes = this.#wipes;
    await this.open();
    return this.#updates.run({
      ...{ key, fn, current, call: options.call },
      enter: (apply) => {
        if (wipes !== this.#wipes) throw new WritesDiscardedError(key);
        return this.#enter(key, options, apply);
      },
    });
  }

  #wipe(): Promise<void> {
    const reason = new WritesDiscardedError();
    this.#wipes += 1;
    this.#room.close(reason);
    const discarded = this.#lanes.clear();
    this.#delivery.discard(reason);
    const wiped = this.#journal.wipe(reason);
    this.#keepAlive();
    for (const write of discarded) {
      const { id, key } = toPendingWrite(write);
      this.#events.emit({ type: 'discard', key, id });
    }
    return wiped;
  }

  #write(key: string, kind: Incoming['kind'], value: unknown, options: WriteOptions | undefined): Promise<void> {
    if (this.#closing !== undefined) return rejection(new WritesClosedError(key));
    // The usual case, without an allocation.
    const isPlain = options === undefined && typeof key === 'string' && this.#opening.done;
    if (isPlain && this.#room.admits(key)) return this.#accept({ key, kind, value }, false);
    const accept = (): Promise<void> => this.#accept({ key, kind, value, call: options?.call }, false);
    return this.#alive.during(this.#opening.after(() => this.#enter(key, options, accept)));
  }

  /** Runs `run`, which accepts a write of `key`, as soon as there is room. */
  #enter<T>(key: string, options: WriteOptions | undefined, run: () => MaybePromise<T>): MaybePromise<T> {
    checkKey(key);
    const signal = options?.signal;
    checkSignal(signal);
    if (this.#closing !== undefined) throw new WritesClosedError(key);
    if (signal?.aborted === true) throw signal.reason;
    if (this.#room.admits(key)) return run();
    if (this.#settings.refuse) throw new TooManyWritesError(key, this.#settings.maxPending);
    return this.#room.wait(key, run, signal);
  }

  /** `replace`: the value already contains what is pending. */
  #accept({ key, kind, value, call }: Omit<Incoming, 'at'>, replace: boolean): Promise<void> {
    const before = this.#lanes.size;
    let held: Held;
    try {
      held = this.#lanes.accept({ key, kind, value, at: this.#now.now(), call }, replace);
    } catch (error) {
      return rejection(error);
    }
    const coalesced = this.#lanes.size === before;
    const { id } = held.write;
    this.#updates.outdate(key);
    this.#keepAlive();
    const stored = this.#journal.write(held);
    this.#delivery.accepted(coalesced);
    if (stored === undefined) {
      this.#tell(key, id, coalesced);
      return ACCEPTED;
    }
    return silenced(Promise.resolve(stored).then(() => this.#tell(key, id, coalesced)));
  }

  #tell(key: string, id: string, coalesced: boolean): void {
    if (this.#events.wants('accept')) this.#events.emit({ type: 'accept', key, id, coalesced });
  }

  #restore(write: QueuedWrite, type: 'restore' | 'accept'): void {
    this.#ids.follow(write.sequence);
    this.#lanes.restore(write);
    this.#keepAlive();
    this.#updates.outdate(write.key);
    this.#delivery.accepted(false);
    if (!this.#events.wants(type)) return;
    const { id, key } = toPendingWrite(write);
    const { calls } = write;
    const restored = { type: 'restore', key, id, ...(calls !== undefined && { calls }) } as const;
    this.#events.emit(type === 'accept' ? { type, key, id, coalesced: false } : restored);
  }

  #ownedQueue({ queue, clock, ownerWait }: WriteSettings<V>): OwnedQueue | undefined {
    if (queue.own === undefined) return undefined;
    const newOwner = (): string => newWriter(clock);
    return new OwnedQueue({ queue, clock, ownerWait, newOwner, lost: (error) => this.#lose(error) });
  }

  /** What was pending is the new owner's business now. */
  #lose(error: SoloflightError): void {
    this.#delivery.abandon(error);
    this.#lanes.clear();
    this.#keepAlive();
    this.#room.close(error);
    this.#events.emit({ type: 'queue-error', operation: 'own', error });
  }

  /** Keeps the process alive as long as something is pending that ends with it. */
  #keepAlive(): void {
    const isNeeded = this.#lanes.size > 0 && this.#settings.queue.volatile === true && this.#released === undefined;
    if (isNeeded === this.#isAlive) return;
    this.#isAlive = isNeeded;
    if (isNeeded) this.#alive.hold();
    else this.#alive.release();
  }

  #withdraw(held: Held): void {
    this.#lanes.revert(held);
    this.#updates.outdate(held.write.key);
    this.#room.open();
    this.#keepAlive();
  }

  async #close(flush: boolean): Promise<void> {
    // Yields, so that `#closing` is set before anything below runs.
    await undefined;
    this.#room.close(new WritesClosedError());
    this.#owned?.stop();
    await this.#opening.settled();
    try {
      if (flush && this.#opening.done) await this.#delivery.deliver();
    } finally {
      await this.#delivery.halt();
      this.#settling.stop();
      await this.#journal.settle();
      await this.#release();
    }
    this.#checkLeft();
  }

  /** Ends with `closing`, or after `ms`, whatever is still under way. */
  #within(ms: number, closing: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#settings.clock.after(ms, () => {
        this.#delivery.abandon(new WritesClosedError());
        void silenced(this.#release());
        resolve(promised(() => this.#checkLeft()));
      });
      closing.then(resolve, reject).then(cancel, cancel);
    });
  }

  #release(): Promise<void> {
    this.#released ??= promised(() => (this.#owned ?? this.#settings.queue).close?.());
    this.#keepAlive();
    return this.#released;
  }

  /** @throws WritesUndeliveredError for what is lost. */
  #checkLeft(): void {
    const { size, keys } = this.#lanes;
    if (this.#settings.ownQueue && size > 0) throw new WritesUndeliveredError(size, keys, this.#delivery.lastError);
  }
}

function checkKey(key: unknown): void {
  if (typeof key !== 'string') throw misuse('key', 'a string', key);
}
