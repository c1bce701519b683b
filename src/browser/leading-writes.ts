import { misuse } from '../errors.js';
import type { WriteWatch } from '../writes/updates.js';
import { WRITE_EVENT_TYPES, type WriteEvent } from '../writes/write-events.js';
import type { CallOptions, WritesLike } from './shared-writes-options.js';
import { Answers } from './tab-answers.js';
import { toPlainStatus } from './tab-failures.js';
import type { Answer, Call } from './tab-messages.js';
import type { Begun } from './tab-updates.js';

/** So many updates of other tabs may be under way at a time; one beyond begins again. */
const MOST_UPDATES = 1_000;

/** The one `WriteBehind`, in the tab that leads, as the calls of all tabs reach it. One for each term. */
export class LeadingWrites<V> {
  readonly term: string;
  readonly writes: WritesLike<V>;
  readonly #answers = new Answers();
  /** Updates that other tabs compute, by their tokens. */
  readonly #updates = new Map<string, WriteWatch>();
  #tokens = 0;

  constructor(term: string, writes: WritesLike<V>) {
    this.term = term;
    this.writes = writes;
    writes.on('restore', ({ calls = [] }) => {
      for (const id of calls) this.#answers.accepted(id);
    });
  }

  /** Calls `tell` for every event of the writes. */
  watch(tell: (event: WriteEvent) => void): void {
    for (const type of WRITE_EVENT_TYPES) this.writes.on(type, tell);
  }

  /** Makes `call`, once, for the tab that gave it this `id`. Gives nothing if that tab has had the answer. */
  async answer(id: string, call: Call, since = 0): Promise<Answer | undefined> {
    this.#answers.forget(id, since);
    // What the tab that led before has accepted is known only then.
    if (isChange(call)) await this.#opened();
    return this.#answers.to(id, (signal) => this.make(call, { signal, call: id }));
  }

  /** Tells what became of the call `id`, and sees to it that it is not made from now on. */
  async cancel(id: string): Promise<Answer | undefined> {
    await this.#opened();
    return this.#answers.cancel(id);
  }

  /** The result of `call`, in the form in which it may go to other tabs. */
  async make(call: Call, options?: CallOptions & { readonly call?: string }): Promise<unknown> {
    const { writes } = this;
    const [method, key, value] = call as readonly [Call[0], string, V];
    switch (method) {
      case 'put':
        return writes.put(key, value, options);
      case 'delete':
        return writes.delete(key, options);
      case 'begin':
        return this.#begin(key);
      case 'swap':
        return this.#swap(key, value, call[3], options);
      case 'peek':
        await writes.open();
        return writes.peek(key);
      case 'read':
        return writes.read(key);
      case 'flush':
        return writes.flush(call[1] as { readonly due?: boolean } | undefined);
      case 'open':
      case 'wipe':
        return writes[method]();
      case 'status':
        return toPlainStatus(writes.status());
      case 'listDead':
        return writes.deadLetters.list();
      case 'requeueDead':
        return writes.deadLetters.requeue(key);
      case 'dropDead':
        return writes.deadLetters.drop(key);
      default:
        throw misuse(
          'call',
          'one that the leading tab knows: reload that tab, it runs another version of the page',
          method,
        );
    }
  }

  /** Resolves when no call of another tab is under way. */
  settled(): Promise<void> {
    return this.#answers.settled();
  }

  /** A queue that can't be read fails the calls themselves. */
  async #opened(): Promise<void> {
    try {
      await this.writes.open();
    } catch {}
  }

  async #begin(key: string): Promise<Begun<V>> {
    await this.writes.open();
    const watch = this.writes.watch(key);
    const token = `${this.term}:${(this.#tokens += 1)}`;
    this.#updates.set(token, watch);
    for (const [oldest, other] of this.#updates) {
      if (this.#updates.size <= MOST_UPDATES) break;
      other.end();
      this.#updates.delete(oldest);
    }
    return { token, pending: this.writes.peek(key) };
  }

  /** Writes `value` if nothing has changed since `token` was given. Otherwise gives another one. */
  async #swap(key: string, value: V, token: unknown, options: CallOptions | undefined): Promise<Begun<V> | undefined> {
    const watch = this.#updates.get(token as string);
    this.#updates.delete(token as string);
    const checked = (): V => {
      if (watch === undefined || watch.outdated) throw OUTDATED;
      return value;
    };
    try {
      await this.writes.update(key, checked, { ...options, current: () => undefined });
      return undefined;
    } catch (error) {
      if (error !== OUTDATED) throw error;
      return await this.#begin(key);
    } finally {
      watch?.end();
    }
  }
}

const OUTDATED: unique symbol = Symbol('outdated');

/** Whether `call` changes something, so that it must not be made twice. */
export function isChange([method]: Call): boolean {
  return method === 'put' || method === 'delete' || method === 'swap';
}
