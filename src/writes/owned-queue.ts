import { QUEUE_OWNED, queueOwned } from '../base/owned.js';
import type { Clock, MaybePromise, Ownership, QueuedWrite, WriteQueue } from '../contracts.js';
import { isSoloflightError, type SoloflightError } from '../errors.js';
import { emptyQueue } from './empty-queue.js';
import { isFull } from './full.js';
import { pause } from './within.js';

/** Duration of an owner's lease, the interval of its renewals, and the pause between two questions for a lease. */
const LEASE = 10_000;
const RENEWAL = 3_000;
const POLL = 250;

/**
 * For so long after an answer to its owner a queue certainly has no other one: nobody takes it sooner from an owner that lives.
 * More than a renewal, and less than `sharedWrites` takes to replace a tab that is suspended.
 */
const TRUST = 3_500;

/** The longest time until what others did in the meantime is seen by a process that goes on after a suspension. */
const SETTLE = 250;

/** Options of {@link ownedQueue}. */
export interface OwnedQueueOptions {
  readonly queue: WriteQueue;
  readonly clock: Clock;
  /** The longest wait for another owner to end, milliseconds. */
  readonly ownerWait: number;
  /** Gives a text that no other owner has. */
  readonly newOwner: () => string;
  /** Called once, when the queue has got another owner. */
  readonly lost: (error: SoloflightError) => void;
}

/** A queue that can be owned, as its owner uses it: everything but {@link WriteQueue.load} needs the lease that `load` takes. */
export class OwnedQueue implements WriteQueue {
  readonly name: string;
  readonly volatile: boolean;
  readonly #options: OwnedQueueOptions;
  readonly #stop = new AbortController();
  #owner: string | undefined;
  #ownership: Ownership | undefined;
  #isLost = false;
  /** Monotonic milliseconds at which this certainly was the owner. */
  #confirmedAt = -Infinity;
  #cancel: (() => void) | undefined;
  /** Whether the next {@link load} takes the queue from an owner that seems to live. */
  takeOver = false;

  constructor(options: OwnedQueueOptions) {
    this.#options = options;
    this.name = options.queue.name;
    this.volatile = options.queue.volatile === true;
  }

  /** Why nothing can be done here any more; `undefined` as long as it can. */
  get refusal(): SoloflightError | undefined {
    return this.#isLost ? queueOwned(this.name) : undefined;
  }

  /** Becomes the owner, then reads. Waits for another owner to end. */
  async load(): Promise<readonly (QueuedWrite | Error)[]> {
    if (this.#isLost) throw queueOwned(this.name);
    if (this.#options.queue.own !== undefined) this.#ownership ??= await this.#take();
    return this.#options.queue.load();
  }

  /**
   * Whether this is the owner still, at this moment: a process that was suspended in the middle of a delivery may go on when
   * another owner has delivered newer writes. `false` also where the queue can't say.
   */
  confirm(): MaybePromise<boolean> {
    const { clock } = this.#options;
    const isRenewed = this.#ownership?.renew !== undefined;
    if (!isRenewed || clock.monotonic() - this.#confirmedAt <= TRUST) return !this.#isLost;
    return this.#confirmed();
  }

  async #confirmed(): Promise<boolean> {
    const { clock } = this.#options;
    while (!this.#isLost && clock.monotonic() - this.#confirmedAt > TRUST) {
      await pause(clock, SETTLE, this.#stop.signal);
      const ownership = this.#ownership;
      const before = this.#confirmedAt;
      if (ownership === undefined) return false;
      if (!(await this.#renew(ownership))) this.#lose();
      else if (this.#confirmedAt === before) return false;
    }
    return !this.#isLost;
  }

  put(writes: readonly QueuedWrite[]): MaybePromise<void> {
    return this.#change((queue) => queue.put(writes));
  }

  remove(ids: readonly string[]): MaybePromise<void> {
    return this.#change((queue) => queue.remove(ids));
  }

  wipe(): MaybePromise<void> {
    return this.#change((owner) => emptyQueue(this.#options.queue, owner));
  }

  listDead(): MaybePromise<readonly (QueuedWrite | Error)[]> {
    return this.#options.queue.listDead();
  }

  /** Ends the wait for an owner, if there is one. */
  stop(): void {
    this.#stop.abort();
  }

  async close(): Promise<void> {
    this.stop();
    this.#cancel?.();
    const ownership = this.#ownership;
    this.#ownership = undefined;
    try {
      await ownership?.release();
    } finally {
      await this.#options.queue.close?.();
    }
  }

  #change(run: (queue: Pick<Ownership, 'put' | 'remove' | 'wipe'>) => MaybePromise<void>): MaybePromise<void> {
    if (this.#isLost) throw queueOwned(this.name);
    try {
      const answer = run(this.#ownership ?? this.#options.queue);
      return answer?.then(undefined, (error: unknown): never => this.#failed(error));
    } catch (error) {
      return this.#failed(error);
    }
  }

  async #take(): Promise<Ownership> {
    const { queue, clock, ownerWait, newOwner } = this.#options;
    const owner = (this.#owner ??= newOwner());
    const end = clock.monotonic() + ownerWait;
    for (;;) {
      const since = clock.monotonic();
      const ownership = await queue.own?.(owner, LEASE, this.takeOver);
      if (ownership !== undefined) {
        this.takeOver = false;
        this.#confirmedAt = since;
        if (ownership.renew !== undefined) this.#keep(ownership);
        return ownership;
      }
      const left = end - clock.monotonic();
      if (left <= 0 || this.#stop.signal.aborted) throw queueOwned(this.name);
      await pause(clock, Math.min(POLL, left), this.#stop.signal);
    }
  }

  /** Renews the lease until it is released. A failure to do so is no loss: others must take the queue to get it. */
  #keep(ownership: Ownership): void {
    this.#cancel = this.#options.clock.after(RENEWAL, () => {
      void this.#renew(ownership).then((goesOn) => {
        if (this.#ownership !== ownership) return;
        if (goesOn) this.#keep(ownership);
        else this.#lose();
      });
    });
  }

  async #renew(ownership: Ownership): Promise<boolean> {
    const since = this.#options.clock.monotonic();
    try {
      const goesOn = (await ownership.renew?.(LEASE)) ?? true;
      if (goesOn) this.#confirmedAt = since;
      return goesOn;
    } catch (error) {
      // Where nothing can be stored, nobody else can become the owner.
      if (isFull(error)) this.#confirmedAt = since;
      return !isSoloflightError(error, QUEUE_OWNED);
    }
  }

  #failed(error: unknown): never {
    if (isSoloflightError(error, QUEUE_OWNED)) this.#lose();
    throw error;
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#cancel?.();
    this.#options.lost(queueOwned(this.name));
  }
}
