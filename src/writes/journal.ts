import { isThenable, rejection, resolvers, silenced, type Resolvers } from '../base/promises.js';
import type { MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';
import type { SoloflightError } from '../errors.js';
import { Doubts } from './doubts.js';
import { emptyQueue } from './empty-queue.js';
import type { Held } from './lanes.js';
import { isOwned, queueError } from './write-errors.js';

/** Options of a {@link Journal}. */
export interface JournalOptions {
  readonly queue: WriteQueue;
  /** Takes back a write that the queue refused: it becomes `held.stored` again, or goes if that is `undefined`. */
  readonly withdraw: (held: Held) => void;
  readonly failed: (operation: string, error: unknown) => void;
  /** Called when a write is in doubt: `settle` is to be called later. */
  readonly doubted: () => void;
}

/** A write that the queue refused, and its caller. */
interface Refusal {
  readonly held: Held;
  readonly cause: unknown;
  readonly tell: (reason: unknown) => void;
}

/** After this many refusals in a row the queue is at fault, not the writes. */
const HOPELESS = 3;

/**
 * Stores writes in the queue in their latest state, one call at a time. Writes that come meanwhile share the next call.
 *
 * A synchronous queue is called at once. For an asynchronous one, the writes of one turn are gathered. A refusal whose
 * answer may have been lost is made true before its caller is told, or else before a later write of its key is stored.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #doubts: Doubts;
  #next = new Map<Held, Resolvers<void>>();
  #running: Promise<void> | undefined;
  #isAsync = false;
  /** Settles when the queue has been emptied; set until that begins. */
  #emptying: Resolvers<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#doubts = new Doubts(options.queue);
  }

  /** Stores `held`, or removes it if it is done. Returns nothing if that happened at once; rejects with a {@link WriteQueueError}. */
  write(held: Held): MaybePromise<void> {
    // What is in doubt is settled first, which may take time.
    if (this.#doubts.size > 0) this.#isAsync = true;
    if (this.#isAsync || this.#running !== undefined) return this.#join(held);
    const { queue } = this.#options;
    const { write, done } = held;
    let answer: MaybePromise<void>;
    try {
      answer = done ? queue.remove([write.id]) : queue.put([write]);
    } catch (cause) {
      return this.#refusedAtOnce(held, cause);
    }
    if (isThenable(answer)) return this.#becomeAsync(held, answer);
    held.stored = write;
  }

  /** Empties the queue. Refuses what is not stored yet with `reason`. Rejects with a {@link WriteQueueError}. */
  wipe(reason: unknown): Promise<void> {
    const dropped = this.#next;
    this.#next = new Map();
    for (const [{ done }, waiting] of dropped) {
      if (done) waiting.resolve();
      else waiting.reject(reason);
    }
    this.#emptying ??= resolvers<void>();
    this.#running ??= Promise.resolve().then(() => this.#run());
    return silenced(this.#emptying.promise);
  }

  /** Tries to settle what is in doubt. Resolves to whether nothing is any more. Never rejects. */
  async settle(): Promise<boolean> {
    await this.idle();
    if (this.#doubts.size === 0) return true;
    this.#running = Promise.resolve(this.#doubts.settle()).then(() => this.#run());
    await this.#running;
    return this.#doubts.size === 0;
  }

  /** Resolves when all that was written before has been stored or refused. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Repeats the call that proved asynchronous as part of a group: storing and removing twice changes nothing. */
  #becomeAsync(held: Held, answer: PromiseLike<void>): Promise<void> {
    this.#isAsync = true;
    const over = (): Promise<void> => this.#run();
    this.#running = Promise.resolve(answer).then(over, over);
    return this.#join(held);
  }

  #join(held: Held): Promise<void> {
    let waiting = this.#next.get(held);
    if (waiting === undefined) {
      waiting = resolvers<void>();
      void silenced(waiting.promise);
      this.#next.set(held, waiting);
      this.#running ??= Promise.resolve().then(() => this.#run());
    }
    return waiting.promise;
  }

  async #run(): Promise<void> {
    while (this.#emptying !== undefined || this.#next.size > 0) {
      if (this.#emptying !== undefined) {
        await this.#empty(this.#emptying);
        continue;
      }
      const group = this.#next;
      this.#next = new Map();
      const all = [...group.keys()];
      await this.#put(
        group,
        all.filter(({ done }) => !done).map((held) => [held, held.write]),
      );
      await this.#remove(
        group,
        all.filter(({ done }) => done),
      );
    }
    this.#running = undefined;
  }

  async #empty(emptying: Resolvers<void>): Promise<void> {
    const { queue, failed } = this.#options;
    const operation = 'forget all writes';
    this.#emptying = undefined;
    try {
      await emptyQueue(queue, queue);
      this.#doubts.clear();
      emptying.resolve();
    } catch (cause) {
      const error = queueError(queue.name, operation, cause);
      failed(operation, error);
      emptying.reject(error);
    }
  }

  async #put(group: Map<Held, Resolvers<void>>, puts: readonly (readonly [Held, QueuedWrite])[]): Promise<void> {
    await this.#doubts.settle();
    const refusals: Refusal[] = [];
    const certain = puts.filter(([held]) => {
      const isSafe = !this.#doubts.concern(held.write.key);
      if (!isSafe) refusals.push(this.#refusal(held, this.#doubts.reason, group));
      return isSafe;
    });
    if (certain.length > 0) refusals.push(...(await this.#putTogether(group, certain)));
    await this.#refuse(refusals);
  }

  async #putTogether(
    group: Map<Held, Resolvers<void>>,
    puts: readonly (readonly [Held, QueuedWrite])[],
  ): Promise<readonly Refusal[]> {
    try {
      await this.#options.queue.put(puts.map(([, write]) => write));
    } catch (error) {
      if (puts.length > 1) return this.#putSingly(group, puts);
      const [[held, write]] = puts as [[Held, QueuedWrite]];
      this.#doubt(held, write, error);
      return [this.#refusal(held, error, group)];
    }
    for (const [held, write] of puts) this.#stored(held, write, group);
    return [];
  }

  /** One write that the queue can't take must not cost the others. */
  async #putSingly(
    group: Map<Held, Resolvers<void>>,
    puts: readonly (readonly [Held, QueuedWrite])[],
  ): Promise<readonly Refusal[]> {
    const refusals: Refusal[] = [];
    let inARow = 0;
    let reason: unknown;
    for (const [held, write] of puts) {
      try {
        if (inARow >= HOPELESS) throw reason;
        await this.#options.queue.put([write]);
        inARow = 0;
        this.#stored(held, write, group);
      } catch (error) {
        inARow += 1;
        reason = error;
        this.#doubt(held, write, error);
        refusals.push(this.#refusal(held, error, group));
      }
    }
    return refusals;
  }

  async #remove(group: Map<Held, Resolvers<void>>, gone: readonly Held[]): Promise<void> {
    if (gone.length === 0) return;
    try {
      await this.#options.queue.remove(gone.map(({ write }) => write.id));
      for (const held of gone) group.get(held)?.resolve();
    } catch (error) {
      for (const held of gone) group.get(held)?.reject(this.#told(held, error));
    }
  }

  #stored(held: Held, write: QueuedWrite, group: Map<Held, Resolvers<void>>): void {
    held.stored = write;
    group.get(held)?.resolve();
  }

  /** Notes that the queue may hold `write` although it refused it. */
  #doubt({ stored }: Held, write: QueuedWrite, cause: unknown): void {
    if (isOwned(cause)) return;
    // The same value under the same id: whichever of the two the queue holds, the right one is delivered.
    if (stored !== undefined && stored.value === write.value && stored.kind === write.kind) return;
    this.#doubts.add(write, stored);
  }

  /** Takes back the refused write at once, so that later writes of its key are none of it. */
  #refusal(held: Held, cause: unknown, group: Map<Held, Resolvers<void>>): Refusal {
    const [now, later] = [group.get(held), this.#next.get(held)];
    this.#next.delete(held);
    this.#options.withdraw(held);
    const tell = (reason: unknown): void => {
      now?.reject(reason);
      later?.reject(reason);
    };
    return { held, cause, tell };
  }

  /** Tells the callers once the queue has forgotten their writes, or can't be asked. */
  async #refuse(refusals: readonly Refusal[]): Promise<void> {
    if (refusals.length === 0) return;
    await this.#doubts.settle();
    for (const { held, cause, tell } of refusals) tell(this.#told(held, cause));
  }

  #refusedAtOnce(held: Held, cause: unknown): Promise<never> {
    if (!held.done) {
      this.#doubt(held, held.write, cause);
      this.#options.withdraw(held);
    }
    const settled = this.#doubts.settle();
    if (settled === undefined) return rejection(this.#told(held, cause));
    this.#isAsync = true;
    this.#running = Promise.resolve(settled).then(() => this.#run());
    return silenced(
      Promise.resolve(settled).then((): never => {
        throw this.#told(held, cause);
      }),
    );
  }

  /** Reports a refusal, and makes the error for its callers. */
  #told({ done, write }: Held, cause: unknown): SoloflightError {
    const { queue, failed, doubted } = this.#options;
    const operation = done ? 'forget a write' : 'keep a write';
    const unknown = !done && this.#doubts.concern(write.key);
    const error = queueError(queue.name, operation, cause, { key: write.key, unknown });
    failed(operation, error);
    if (unknown) doubted();
    return error;
  }
}
