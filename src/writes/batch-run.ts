import { pauseAfter } from '../base/backoff.js';
import { isError } from '../base/realm.js';
import { misuse } from '../errors.js';
import type { BatcherSettings } from './batcher-options.js';
import { pause, within } from './within.js';
import { DeliveryTimeoutError } from './write-errors.js';

/** The result of one item. */
export type ItemResult<O> = { readonly value: O } | { readonly error: unknown };

/** A batch on its way through the handler: attempts, pauses, halves. */
export class BatchRun<I, O> {
  readonly #settings: BatcherSettings<I, O>;
  /** Aborted once nobody waits any more: ends pauses and further attempts. */
  readonly #abandoned = new AbortController();
  #current = new AbortController();
  /** Calls that failed since the last success. */
  #failures = 0;
  #mostFailures = Infinity;

  constructor(settings: BatcherSettings<I, O>) {
    this.#settings = settings;
  }

  /** Aborts the call under way and makes no further one. */
  abandon(reason: unknown): void {
    this.#abandoned.abort(reason);
    this.#current.abort(reason);
  }

  /** The results of `items`, in their order. Never rejects. */
  async results(items: readonly I[]): Promise<readonly ItemResult<O>[]> {
    let answer = await this.#attempts(items, this.#settings.retry.attempts);
    if (!('error' in answer) || !this.#settings.split || answer.final) return perItem(items, answer);
    // Twice the depth of the halving. More failures in a row mean that the handler is down, not that one item is poison.
    this.#failures = 0;
    this.#mostFailures = 2 * (Math.ceil(Math.log2(items.length)) + 1);
    answer = await this.#halves(items, answer);
    return perItem(items, answer);
  }

  /** Handles a batch that failed as a whole in two halves, and splits each half that fails in the same way. */
  async #halves(items: readonly I[], failed: Failed): Promise<Answer<O>> {
    if (items.length === 1) return failed;
    const middle = items.length >> 1;
    const results: ItemResult<O>[] = [];
    for (const half of [items.slice(0, middle), items.slice(middle)]) {
      const isOver = this.#abandoned.signal.aborted || this.#failures >= this.#mostFailures;
      const given = isOver ? failed : await this.#attempts(half, 1);
      const answer = 'error' in given && !this.#givenUp(given) ? await this.#halves(half, given) : given;
      results.push(...perItem(half, answer));
    }
    return { results };
  }

  #givenUp(failed: Failed): boolean {
    return failed.final || this.#abandoned.signal.aborted || this.#failures >= this.#mostFailures;
  }

  /** Calls the handler with `items` up to `most` times, with pauses between. */
  async #attempts(items: readonly I[], most: number): Promise<Answer<O>> {
    const { retry, clock } = this.#settings;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#call(items, attempt);
      if (!('error' in answer) || answer.final || attempt >= most) return answer;
      await pause(clock, pauseAfter(attempt, retry, clock), this.#abandoned.signal);
      if (this.#abandoned.signal.aborted) return { ...answer, final: true };
    }
  }

  async #call(items: readonly I[], attempt: number): Promise<Answer<O>> {
    const { handle, clock, maxDuration } = this.#settings;
    const controller = new AbortController();
    this.#current = controller;
    const context = { signal: controller.signal, attempt };
    const late = (): Error => new DeliveryTimeoutError('handler of the batch', maxDuration);
    let answer: readonly (O | Error)[] | void;
    try {
      answer = await within(clock, maxDuration, controller, () => handle([...items], context), late);
    } catch (error) {
      this.#failures += 1;
      return { error, final: this.#abandoned.signal.aborted };
    }
    this.#failures = 0;
    return toAnswer(items, answer);
  }
}

/** A call that failed as a whole; `final` if no other try can help. */
interface Failed {
  readonly error: unknown;
  readonly final: boolean;
}

type Answer<O> = Failed | { readonly results: readonly ItemResult<O>[] };

/** A wrong number of results can't be matched to the items: all fail, and a retry would do everything twice. */
function toAnswer<O>(items: readonly unknown[], answer: readonly (O | Error)[] | void): Answer<O> {
  if (answer === undefined) return { results: items.map(() => ({ value: undefined as O })) };
  if (!Array.isArray(answer) || answer.length !== items.length) {
    const expected = `nothing, or an array of ${items.length} results in the order of the items`;
    const got = Array.isArray(answer) ? `${answer.length} results` : answer;
    return { error: misuse('result of handle', expected, got), final: true };
  }
  return {
    // Not `map`, which skips holes.
    results: Array.from(answer as readonly (O | Error)[], (result) =>
      isError(result) ? { error: result } : { value: result },
    ),
  };
}

function perItem<O>(items: readonly unknown[], answer: Answer<O>): readonly ItemResult<O>[] {
  return 'error' in answer ? items.map(() => ({ error: answer.error })) : answer.results;
}
