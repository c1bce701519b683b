import { checkSignal } from '../base/checks.js';
import { Events } from '../base/events.js';
import { ignore, rejection, silenced } from '../base/promises.js';
import { CONNECT } from '../contracts.js';
import { isSoloflightError, misuse, SoloflightError } from '../errors.js';
import { connectPending } from '../pending/behind.js';
import type { WritesConnector } from '../ports.js';
import type { DeadLetter, PendingWrite } from '../writes/pending-write.js';
import type { CloseOptions, WriteStatus } from '../writes/write-behind.js';
import { isWriteEventType, type WriteEvent, type WriteEventType } from '../writes/write-events.js';
import { perform, watchAll } from './leading-writes.js';
import {
  resolveSharedWrites,
  type CallOptions,
  type SharedDeadLetters,
  type SharedWrites,
  type SharedWritesOptions,
  type SharedWritesSettings,
  type WritesLike,
} from './shared-writes-options.js';
import {
  fromAnswer,
  fromPlainEvent,
  fromPlainStatus,
  isMessage,
  toFailure,
  toPlainEvent,
  toPlainStatus,
  type Call,
  type Message,
} from './tab-messages.js';
import { whileLeading, type Leadership } from './while-leading.js';

/**
 * One `WriteBehind` for all tabs of an origin: it lives in the leading tab, and the others send their writes there.
 *
 * One tab delivers, the writes of a key keep their order whichever tab they come from, and every tab reads the writes of
 * all. As the `writes` of a `TieredCache` in each tab, it keeps those caches in step, even without network.
 *
 * When the leading tab ends, however it ends, another one opens the queue and goes on. Unanswered calls are made again
 * there. A write may therefore be accepted twice, by the tab that ended and by the next, and the second time behind writes
 * of other tabs that came in between. Calls wait as long as no tab leads. Values must suit the structured clone algorithm.
 *
 * @see {@link whileLeading} for pages without Web Locks.
 * @throws TypeError for an option that makes no sense.
 */
export function sharedWrites<V>(options: SharedWritesOptions<V>): SharedWrites<V> {
  return new TabWrites(resolveSharedWrites(options));
}

/** A call without an answer yet. */
interface Ask {
  readonly call: Call;
  readonly signal: AbortSignal | undefined;
  readonly settle: (result: Promise<unknown>) => void;
}

/** The part of the platform that is used here. */
interface Platform {
  readonly BroadcastChannel: new (name: string) => Channel;
}

interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  close(): void;
}

/** The same code as that of a closed `WriteBehind`. */
const CLOSED = 'SOLOFLIGHT_WRITES_CLOSED';

/** The most answers kept, for calls that come again because they crossed with the news that this tab leads. */
const MOST_ANSWERS = 1_000;

class TabWrites<V> implements SharedWrites<V> {
  readonly [CONNECT]: WritesConnector<V> = connectPending<V>(this);
  readonly deadLetters: SharedDeadLetters<V> = {
    list: () => this.#call<DeadLetter<V>[]>(['listDead']),
    requeue: (id) => this.#call(['requeueDead', id]),
    drop: (id) => this.#call(['dropDead', id]),
  };
  readonly #open: () => WritesLike<V>;
  readonly #channel: Channel;
  readonly #leadership: Leadership;
  readonly #events = new Events<WriteEvent>();
  readonly #tab: string;
  /** Unanswered calls of this tab, by id. */
  readonly #asks = new Map<string, Ask>();
  /** Answers of this tab, as the leader, to calls of others, by id. */
  readonly #answers = new Map<string, Promise<Message>>();
  #calls = 0;
  /** Set while this tab leads. */
  #own: WritesLike<V> | undefined;
  #opened: Promise<void> | undefined;
  #closeOptions: CloseOptions = {};
  #closing: Promise<void> | undefined;
  #hasLeft = false;

  constructor({ name, open, clock }: SharedWritesSettings<V>) {
    this.#open = open;
    this.#tab = `${clock.random()}`.slice(2);
    const { BroadcastChannel } = globalThis as unknown as Platform;
    this.#channel = new BroadcastChannel(`soloflight:${name}`);
    this.#channel.addEventListener('message', ({ data }) => {
      if (isMessage(data)) this.#hear(data);
    });
    this.#leadership = whileLeading(name, ({ signal }) => this.#lead(signal), { clock });
  }

  get leading(): boolean {
    return this.#own !== undefined;
  }

  open(): Promise<void> {
    if (this.#opened !== undefined) return this.#opened;
    const opened = (this.#opened = this.#call<void>(['open']));
    opened.catch(() => (this.#opened = undefined));
    return opened;
  }

  put(key: string, value: V, options?: CallOptions): Promise<void> {
    return this.#call(['put', key, value], options);
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#call(['delete', key], options);
  }

  read(key: string): Promise<V | undefined> {
    return this.#call(['read', key]);
  }

  peek(key: string): Promise<PendingWrite<V> | undefined> {
    return this.#call(['peek', key]);
  }

  flush(options?: { readonly due?: boolean }): Promise<void> {
    return this.#call(['flush', options]);
  }

  status(): Promise<WriteStatus> {
    return silenced(this.#call<WriteStatus>(['status']).then(fromPlainStatus));
  }

  wipe(): Promise<void> {
    return this.#call(['wipe']);
  }

  on<T extends WriteEventType>(type: T, listener: (event: Extract<WriteEvent, { type: T }>) => void): () => void {
    if (!isWriteEventType(type)) throw misuse('type', 'the name of an event', type);
    if (typeof listener !== 'function') throw misuse('listener', 'a function', listener);
    return this.#events.on(type, listener);
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closeOptions = { flush: true, ...options };
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#leadership.close();
    this.#hasLeft = true;
    this.#channel.close();
    this.#events.clear();
    for (const { settle } of this.#asks.values()) settle(rejection(closed()));
  }

  #call<T>(call: Call, options?: CallOptions): Promise<T> {
    if (this.#closing !== undefined) return rejection(closed());
    const signal = options?.signal;
    try {
      checkSignal(signal);
    } catch (error) {
      return rejection(error);
    }
    if (signal?.aborted === true) return rejection(signal.reason);
    if (this.#own !== undefined) return silenced(this.#perform<T>(this.#own, call, options));
    this.#calls += 1;
    const id = `${this.#tab}-${this.#calls}`;
    const asked = new Promise<unknown>((resolve) => {
      const leave = (): void => settle(rejection(signal?.reason));
      const settle = (result: Promise<unknown>): void => {
        signal?.removeEventListener('abort', leave);
        this.#asks.delete(id);
        resolve(result);
      };
      signal?.addEventListener('abort', leave);
      this.#asks.set(id, { call, signal, settle });
      this.#ask(id, call);
    });
    return silenced(asked as Promise<T>);
  }

  async #perform<T>(own: WritesLike<V>, call: Call, options: CallOptions | undefined): Promise<T> {
    try {
      return (await answered(own, call, options?.signal)) as T;
    } catch (error) {
      // The lead was lost: the tab that has it now gets the call.
      if (this.#own !== own && isSoloflightError(error, CLOSED)) return this.#call<T>(call, options);
      throw error;
    }
  }

  #ask(id: string, call: Call): void {
    try {
      this.#post({ kind: 'ask', id, call });
    } catch (error) {
      // The call can't be cloned.
      this.#asks.get(id)?.settle(rejection(error));
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const writes = this.#open();
    this.#own = writes;
    try {
      watchAll(writes, (event) => {
        this.#events.emit(event);
        this.#post({ kind: 'event', event: toPlainEvent(event) });
      });
      // Makes the tabs repeat the calls that nobody answered.
      this.#post({ kind: 'leading' });
      // All tabs must know what the queue holds, even if nobody asks. An event reports a failure. The tab that led before may
      // be gone without a word, or have been suspended: from here on the queue refuses what it still does.
      writes.open({ takeOver: true }).catch(ignore);
      for (const { call, signal, settle } of this.#asks.values()) settle(answered(writes, call, signal));
      if (!signal.aborted) await new Promise<unknown>((resolve) => signal.addEventListener('abort', resolve));
    } finally {
      this.#own = undefined;
      // If the lead was lost, another tab delivers already.
      try {
        await writes.close(this.#closing === undefined ? { flush: false } : this.#closeOptions);
      } finally {
        await Promise.all(this.#answers.values());
        this.#answers.clear();
      }
    }
  }

  #hear(message: Message): void {
    switch (message.kind) {
      case 'leading':
        for (const [id, { call }] of this.#asks) this.#ask(id, call);
        return;
      case 'answer':
        this.#asks.get(message.id)?.settle(fromAnswer(message));
        return;
      case 'event':
        this.#events.emit(fromPlainEvent(message.event));
        return;
      case 'ask':
        if (this.#own !== undefined) this.#answer(message.id, message.call, this.#own);
    }
  }

  #answer(id: string, call: Call, writes: WritesLike<V>): void {
    const answer = this.#answers.get(id) ?? answerTo(id, answered(writes, call));
    this.#answers.set(id, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MOST_ANSWERS) break;
      this.#answers.delete(oldest);
    }
    void answer.then((message) => this.#send(id, message));
  }

  #send(id: string, message: Message): void {
    // The next leading tab will get the call again.
    if (message.kind === 'answer' && message.failure?.code === CLOSED) return;
    try {
      this.#post(message);
    } catch (error) {
      this.#post({ kind: 'answer', id, failure: toFailure(error) });
    }
  }

  #post(message: Message): void {
    // A call that ends late has nobody to tell: a closed channel throws.
    if (!this.#hasLeft) this.#channel.postMessage(message);
  }
}

/** The result of `call`, in the form in which it may go to other tabs. */
async function answered<V>(writes: WritesLike<V>, call: Call, signal?: AbortSignal): Promise<unknown> {
  const result = await perform(writes, call, signal);
  return call[0] === 'status' ? toPlainStatus(result as WriteStatus) : result;
}

async function answerTo(id: string, result: Promise<unknown>): Promise<Message> {
  try {
    return { kind: 'answer', id, result: await result };
  } catch (error) {
    return { kind: 'answer', id, failure: toFailure(error) };
  }
}

function closed(): SoloflightError {
  return new SoloflightError(CLOSED, 'The shared writes are closed in this tab');
}
