import { ignore, rejection, silenced } from '../base/promises.js';
import type { MaybePromise, QueuedWrite, WriteQueue } from '../contracts.js';
import type { Held } from './lanes.js';
import { WriteQueueError } from './write-errors.js';

/** Options of a {@link Journal}. */
export interface JournalOptions {
  readonly queue: WriteQueue;
  /** Takes back a write that the queue refused: it becomes `held.stored` again, or goes if that is `undefined`. */
  readonly withdraw: (held: Held) => void;
  readonly failed: (operation: string, error: unknown) => void;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** After this many refusals in a row the queue is at fault, not the writes. */
const HOPELESS = 3;

/**
 * Stores writes in the queue in their latest state, one call at a time. Writes that come meanwhile share the next call.
 *
 * A synchronous queue is called at once. For an asynchronous one, the writes of one turn are gathered.
 */
export class Journal {
  readonly #options: JournalOptions;
  #next = new Map<Held, Waiting>();
  #running: Promise<void> | undefined;
  #isAsync = false;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Stores `held`, or removes it if it is done. Returns nothing if that happened at once; rejects with a {@link WriteQueueError}. */
  write(held: Held): MaybePromise<void> {
    if (this.#isAsync) return this.#join(held);
    const { queue } = this.#options;
    const { write, done } = held;
    let answer: MaybePromise<void>;
    try {
      answer = done ? queue.remove([write.id]) : queue.put([write]);
    } catch (error) {
      return rejection(this.#refused(held, error));
    }
    if (answer !== undefined) return this.#becomeAsync(held, answer);
    held.stored = write;
  }

  /** Resolves when all that was written before has been stored or refused. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Repeats the call that proved asynchronous as part of a group: storing and removing twice changes nothing. */
  #becomeAsync(held: Held, answer: PromiseLike<void>): Promise<void> {
    this.#isAsync = true;
    this.#running = Promise.resolve(answer)
      .then(ignore, ignore)
      .then(() => this.#run());
    return this.#join(held);
  }

  #join(held: Held): Promise<void> {
    let waiting = this.#next.get(held);
    if (waiting === undefined) {
      waiting = withResolvers();
      this.#next.set(held, waiting);
      this.#running ??= Promise.resolve().then(() => this.#run());
    }
    return waiting.promise;
  }

  async #run(): Promise<void> {
    while (this.#next.size > 0) {
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

  async #put(group: Map<Held, Waiting>, puts: readonly (readonly [Held, QueuedWrite])[]): Promise<void> {
    if (puts.length === 0) return;
    try {
      await this.#options.queue.put(puts.map(([, write]) => write));
    } catch (error) {
      if (puts.length > 1) return this.#putSingly(group, puts);
      const [[held]] = puts as [[Held, QueuedWrite]];
      group.get(held)?.reject(this.#refused(held, error));
      return;
    }
    for (const [held, write] of puts) {
      held.stored = write;
      group.get(held)?.resolve();
    }
  }

  /** One write that the queue can't take must not cost the others. */
  async #putSingly(group: Map<Held, Waiting>, puts: readonly (readonly [Held, QueuedWrite])[]): Promise<void> {
    let refusals = 0;
    let reason: unknown;
    for (const [held, write] of puts) {
      try {
        if (refusals >= HOPELESS) throw reason;
        await this.#options.queue.put([write]);
        held.stored = write;
        refusals = 0;
        group.get(held)?.resolve();
      } catch (error) {
        refusals += 1;
        reason = error;
        group.get(held)?.reject(this.#refused(held, error));
      }
    }
  }

  async #remove(group: Map<Held, Waiting>, gone: readonly Held[]): Promise<void> {
    if (gone.length === 0) return;
    try {
      await this.#options.queue.remove(gone.map(({ write }) => write.id));
      for (const held of gone) group.get(held)?.resolve();
    } catch (error) {
      for (const held of gone) group.get(held)?.reject(this.#refused(held, error));
    }
  }

  /** Reports a refusal and takes back the refused write, with all that was merged into it meanwhile. */
  #refused(held: Held, cause: unknown): WriteQueueError {
    const { queue, withdraw, failed } = this.#options;
    const operation = held.done ? 'forget a write' : 'keep a write';
    const error = new WriteQueueError(queue.name, operation, cause, held.write.key);
    this.#next.get(held)?.reject(error);
    this.#next.delete(held);
    if (!held.done) withdraw(held);
    failed(operation, error);
    return error;
  }
}

function withResolvers(): Waiting {
  let resolve!: () => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<void>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise: silenced(promise), resolve, reject };
}
