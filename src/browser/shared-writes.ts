import { checkFunction, checkSignal } from '../base/checks.js';
import { Events } from '../base/events.js';
import { QUEUE_OWNED } from '../base/owned.js';
import { ignore, rejection, resolvers, silenced } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import { CONNECT, type Clock } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { connectPending } from '../pending/behind.js';
import type { WritesConnector } from '../ports.js';
import type { DeadLetter, PendingWrite } from '../writes/pending-write.js';
import type { CloseOptions, WriteStatus } from '../writes/write-behind.js';
import { isWriteEventType, type WriteEvent, type WriteEventType } from '../writes/write-events.js';
import { LeadingWrites } from './leading-writes.js';
import {
  resolveSharedWrites,
  type CallOptions,
  type SharedDeadLetters,
  type SharedUpdateOptions,
  type SharedWrites,
  type SharedWritesOptions,
  type SharedWritesSettings,
  type WritesLike,
} from './shared-writes-options.js';
import { Asks } from './tab-asks.js';
import { fromPlainEvent, fromPlainStatus, toFailure, toPlainEvent } from './tab-failures.js';
import { isMessage, type Answer, type Call, type Message } from './tab-messages.js';
import { Silence } from './tab-silence.js';
import { updateFromAfar } from './tab-updates.js';
import { TabLeadership } from './while-leading.js';

/**
 * One `WriteBehind` for all tabs of an origin: it lives in the leading tab, and the others send their writes there.
 *
 * One tab delivers, the writes of a key keep their order whichever tab they come from, and every tab reads the writes of
 * all. As the `writes` of a `TieredCache` in each tab, it keeps those caches in step, even without network. An update is
 * made of the current value, whichever tabs wrote it.
 *
 * When the leading tab ends, or answers nothing for four seconds, another one takes the queue and goes on. Unanswered calls
 * are made again there, unless the queue holds them already. A put may still be delivered twice then: by both tabs, if the
 * first one ended after its delivery and before its answer. A call whose signal aborts is rejected once it is certain that it
 * is not made, which takes no longer than finding another tab. Values must suit the structured clone algorithm.
 *
 * @see {@link whileLeading} for pages without Web Locks.
 * @throws TypeError for an option that makes no sense.
 */
export function sharedWrites<V>(options: SharedWritesOptions<V>): SharedWrites<V> {
  return new TabWrites(resolveSharedWrites(options));
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

/** How long a tab that is told that another one leads takes to notice that it has lost the lead. */
const NOTICED = 300;

/** The longest time until a tab whose queue has got another owner learns that it has lost the lead: a lease is renewed by then. */
const LED_STILL = 4_000;

/** The longest that `close` waits to learn what became of calls that were not answered. */
const FAREWELL = 6_000;

/** The end of a term of which the queue is gone. */
interface Robbed {
  /** What the queue has said. */
  readonly reason: unknown;
  /** Whether this tab leads all the same, once that is known. */
  readonly ledStill: Promise<boolean>;
  /** Called when it does not. */
  readonly end: () => void;
}

class TabWrites<V> implements SharedWrites<V> {
  readonly [CONNECT]: WritesConnector<V> = connectPending<V>(this);
  readonly deadLetters: SharedDeadLetters<V> = {
    list: () => this.#call<DeadLetter<V>[]>(['listDead']),
    requeue: (id) => this.#call(['requeueDead', id]),
    drop: (id) => this.#call(['dropDead', id]),
  };
  readonly #open: () => WritesLike<V>;
  readonly #clock: Clock;
  readonly #channel: Channel;
  readonly #leadership: TabLeadership;
  readonly #events = new Events<WriteEvent>();
  readonly #tab: string;
  readonly #asks: Asks;
  readonly #silence: Silence;
  #terms = 0;
  /** Of the tab that said last that it leads. */
  #term: string | undefined;
  /** Set while this tab leads. */
  #own: LeadingWrites<V> | undefined;
  /** Set instead of {@link #own} while this tab leads without the queue, which somebody else has taken or wiped. */
  #robbed: Robbed | undefined;
  #opened: Promise<void> | undefined;
  #closeOptions: CloseOptions = {};
  #closing: Promise<void> | undefined;
  #hasLeft = false;

  constructor({ name, open, clock }: SharedWritesSettings<V>) {
    this.#open = open;
    this.#clock = clock;
    this.#tab = `${clock.random()}`.slice(2);
    this.#asks = new Asks(this.#tab, (question) => this.#post(question));
    this.#silence = new Silence({
      clock,
      isWaiting: () => this.#asks.size > 0 && this.#own === undefined,
      ping: () => this.#post({ kind: 'ping' }),
      over: () => this.#leadership.seize(),
    });
    const { BroadcastChannel } = globalThis as unknown as Platform;
    this.#channel = new BroadcastChannel(`soloflight:${name}`);
    this.#channel.addEventListener('message', ({ data }) => {
      if (isMessage(data)) this.#hear(data);
    });
    this.#leadership = new TabLeadership(name, ({ signal }) => this.#lead(signal), clock);
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

  update(key: string, fn: (current: V | undefined) => V, options: SharedUpdateOptions<V> = {}): Promise<V> {
    return silenced(this.#update(key, fn, options));
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
    // What is rejected because of this must not be delivered later.
    await withDeadline(this.#clock, FAREWELL, this.#asks.leave(closed()), closed).catch(ignore);
    await this.#leadership.close();
    this.#hasLeft = true;
    this.#silence.stop();
    this.#channel.close();
    this.#events.clear();
    this.#asks.end(closed());
  }

  async #update(key: string, fn: (current: V | undefined) => V, options: SharedUpdateOptions<V>): Promise<V> {
    if (typeof fn !== 'function') throw misuse('fn', 'a function', fn);
    const { signal, current } = options;
    checkFunction('current', current);
    const own = this.#own;
    if (own === undefined || this.#closing !== undefined) {
      const ask = (call: Call): Promise<unknown> => this.#call(call, signal && { signal });
      return updateFromAfar({ key, fn, current, ask });
    }
    try {
      return await own.writes.update(key, fn, options);
    } catch (error) {
      if (this.#hasLost(own, error)) return this.#update(key, fn, options);
      throw error;
    }
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
    if (this.#robbed !== undefined) return silenced(this.#waitFor<T>(this.#robbed, call, options));
    const asked = this.#asks.make(call, signal);
    this.#silence.listen();
    return asked as Promise<T>;
  }

  async #perform<T>(own: LeadingWrites<V>, call: Call, options: CallOptions | undefined): Promise<T> {
    try {
      return (await own.make(call, options)) as T;
    } catch (error) {
      // The tab that has the lead now gets the call.
      if (this.#hasLost(own, error)) return this.#call<T>(call, options);
      throw error;
    }
  }

  /** Makes `call` where the lead is by then. If it is still here, fails as the queue does. */
  async #waitFor<T>({ reason, ledStill }: Robbed, call: Call, options: CallOptions | undefined): Promise<T> {
    if (await ledStill) throw reason;
    return this.#call<T>(call, options);
  }

  /** Whether a call of `own` failed because this tab does not lead any more. */
  #hasLost(own: LeadingWrites<V>, error: unknown): boolean {
    return this.#own !== own && isLoss((error as { readonly code?: unknown } | undefined)?.code);
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const own = new LeadingWrites(`${this.#tab}:${(this.#terms += 1)}`, this.#open());
    this.#own = own;
    const over = new Promise<unknown>((resolve) => {
      signal.addEventListener('abort', () => {
        this.#own = undefined;
        resolve(undefined);
      });
    });
    try {
      own.watch((event) => this.#tell(own, event));
      this.#announce(own);
      // All tabs must know what the queue holds, even if nobody asks. An event reports a failure. The tab that led before may
      // be gone without a word, or have been suspended: from here on the queue refuses what it still does.
      own.writes.open({ takeOver: true }).catch(ignore);
      this.#asks.repeat();
      if (!signal.aborted) await over;
    } finally {
      this.#own = undefined;
      this.#robbed?.end();
      this.#robbed = undefined;
      // If the lead was lost, another tab delivers already.
      try {
        await own.writes.close(this.#closing === undefined ? { flush: false } : this.#closeOptions);
      } finally {
        await own.settled();
      }
      // What this tab asked of itself.
      this.#asks.repeat();
      this.#silence.listen();
    }
  }

  /** Makes the tabs repeat the calls that nobody answered. */
  #announce(own: LeadingWrites<V>): void {
    this.#term = own.term;
    this.#post({ kind: 'leading', term: own.term });
  }

  #tell(own: LeadingWrites<V>, event: WriteEvent): void {
    this.#events.emit(event);
    this.#send({ kind: 'event', event: toPlainEvent(event), term: own.term });
    if (event.type === 'queue-error' && event.operation === 'own' && this.#own === own) this.#rob(event.error);
  }

  /**
   * Another tab has taken the lead, which this one hears of in a moment, or the queue was wiped, or opened by somebody else.
   * Calls wait until that is known: here without being sent, and in other tabs without an answer.
   */
  #rob(reason: unknown): void {
    this.#own = undefined;
    const { promise: ledStill, resolve } = resolvers<boolean>();
    const cancel = this.#clock.after(LED_STILL, () => {
      resolve(true);
      // What the queue holds of these was told when this tab opened it.
      this.#asks.end(reason);
      this.#leadership.yield();
    });
    const end = (): void => {
      cancel();
      resolve(false);
    };
    this.#robbed = { reason, ledStill, end };
  }

  #hear(message: Message): void {
    switch (message.kind) {
      case 'leading':
        return this.#follow(message.term);
      case 'answer':
        this.#asks.answered(message, this.#heeds(message.term));
        return;
      case 'event':
        // What a former leading tab has told before it ended is true all the same.
        this.#heeds(message.term);
        this.#events.emit(fromPlainEvent(message.event));
        return;
      case 'pong':
        this.#heeds(message.term);
        return;
      case 'ping':
        if (this.#own !== undefined) this.#post({ kind: 'pong', term: this.#own.term });
        return;
      case 'ask':
      case 'cancel':
        if (this.#own !== undefined) void this.#answer(message, this.#own);
    }
  }

  /** Whether a message of this `term` comes from the tab that leads, as far as is known. A former one may wake up late. */
  #heeds(term: string | undefined): boolean {
    this.#term ??= term;
    if (term !== undefined && term !== this.#term) return false;
    this.#silence.heard();
    return true;
  }

  #follow(term: string | undefined): void {
    const own = this.#own;
    this.#term = term ?? this.#term;
    this.#silence.heard();
    // What this tab asked before it led is asked again when it knows that it leads no more.
    if (this.#robbed !== undefined) return;
    if (own === undefined) return this.#asks.repeat();
    // Either this tab has lost the lead and will hear of it in a moment, or the other one does not lead.
    this.#clock.after(NOTICED, () => {
      if (this.#own === own) this.#announce(own);
    });
  }

  /** Answers a question of another tab, or of this one. */
  async #answer(question: Extract<Message, { kind: 'ask' | 'cancel' }>, own: LeadingWrites<V>): Promise<void> {
    const { id } = question;
    const answer = question.kind === 'ask' ? await own.answer(id, question.call, question.since) : await own.cancel(id);
    // The next leading tab will get the call again.
    if (answer === undefined || isLoss(answer.failure?.code)) return;
    const whole: Answer = { ...answer, term: own.term };
    if (id.startsWith(`${this.#tab}-`)) this.#asks.answered(whole, true);
    else this.#send(whole);
  }

  /** Posts what may not be cloned. */
  #send(message: Answer | Extract<Message, { kind: 'event' }>): void {
    try {
      this.#post(message);
    } catch (error) {
      const { term } = message;
      const told = term === undefined ? {} : { term };
      if (message.kind === 'answer') this.#post({ kind: 'answer', id: message.id, failure: toFailure(error), ...told });
    }
  }

  #post(message: Message): void {
    // A tab hears nothing of what it says itself.
    if ((message.kind === 'ask' || message.kind === 'cancel') && this.#own !== undefined)
      void this.#answer(structuredClone(message), this.#own);
    // A call that ends late has nobody to tell: a closed channel throws.
    else if (!this.#hasLeft) this.#channel.postMessage(message);
  }
}

/** Whether a call failed because its tab does not lead any more, so that it was not made. */
function isLoss(code: unknown): boolean {
  return code === CLOSED || code === QUEUE_OWNED;
}

function closed(): SoloflightError {
  return new SoloflightError(CLOSED, 'The shared writes are closed in this tab');
}
