import { rejection, silenced } from '../base/promises.js';
import { isChange } from './leading-writes.js';
import { fromAnswer } from './tab-failures.js';
import type { Answer, Call, Message } from './tab-messages.js';

/** A call without an answer yet. */
interface Ask {
  readonly id: string;
  readonly call: Call;
  readonly settle: (result: Promise<unknown>) => void;
  /** Set when the caller waits no longer, but may not be told so before it is certain that the call is not made. */
  left?: { readonly reason: unknown };
}

/** What the leading tab is asked: a call, or what became of one that is not wanted any more. */
export type Question = Extract<Message, { readonly kind: 'ask' | 'cancel' }>;

/**
 * The calls of this tab that the leading tab has not answered.
 *
 * A change whose caller leaves is cancelled first: its caller is told of a rejection once the leading tab has said that it
 * does not make the call, or that it has made it.
 */
export class Asks {
  /** By number, in the order in which they were made. */
  readonly #asks = new Map<number, Ask>();
  readonly #tab: string;
  readonly #post: (question: Question) => void;
  #count = 0;
  #whenSettled: (() => void) | undefined;

  /** `tab`: a text that no other tab has. */
  constructor(tab: string, post: (question: Question) => void) {
    this.#tab = tab;
    this.#post = post;
  }

  get size(): number {
    return this.#asks.size;
  }

  make(call: Call, signal: AbortSignal | undefined): Promise<unknown> {
    const number = (this.#count += 1);
    const asked = new Promise<unknown>((resolve) => {
      const leave = (): void => this.#leave(ask, signal?.reason);
      const settle = (result: Promise<unknown>): void => {
        signal?.removeEventListener('abort', leave);
        this.#asks.delete(number);
        resolve(result);
        if (this.#asks.size === 0) this.#whenSettled?.();
      };
      const ask: Ask = { id: `${this.#tab}-${number}`, call, settle };
      signal?.addEventListener('abort', leave);
      this.#asks.set(number, ask);
      this.#ask(ask);
    });
    return silenced(asked);
  }

  /** Takes the answer to one of these calls. `isCurrent`: it is from the tab that leads now. */
  answered(answer: Answer, isCurrent: boolean): void {
    const { id } = answer;
    const ask = this.#asks.get(Number(id.slice(this.#tab.length + 1)));
    if (ask === undefined || ask.id !== id) return;
    const { left } = ask;
    const { failure, result } = answer;
    // What a former leading tab had accepted, the next one has.
    if (!isCurrent && (failure !== undefined || result !== undefined || !isChange(ask.call))) return;
    ask.settle(left === undefined || failure === undefined ? fromAnswer(answer) : rejection(left.reason));
  }

  /** Asks everything again. */
  repeat(): void {
    for (const ask of this.#asks.values()) this.#ask(ask);
  }

  /** Lets all callers leave. Resolves once each of them knows what became of its call. */
  leave(reason: unknown): Promise<void> {
    for (const ask of this.#asks.values()) this.#leave(ask, reason);
    return new Promise((resolve) => {
      this.#whenSettled = resolve;
      if (this.#asks.size === 0) resolve();
    });
  }

  /** Rejects what is left. */
  end(reason: unknown): void {
    for (const { settle } of this.#asks.values()) settle(rejection(reason));
  }

  #leave(ask: Ask, reason: unknown): void {
    if (!isChange(ask.call)) return ask.settle(rejection(reason));
    if (ask.left !== undefined) return;
    ask.left = { reason };
    this.#ask(ask);
  }

  #ask({ id, call, left, settle }: Ask): void {
    const [since = 0] = this.#asks.keys();
    try {
      this.#post(left === undefined ? { kind: 'ask', id, call, since } : { kind: 'cancel', id });
    } catch (error) {
      // The call can't be cloned.
      settle(rejection(error));
    }
  }
}
