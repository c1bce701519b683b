import { describeOperation, type History, type Operation, type Verdict } from './history.js';

/** What an object of which clients saw a history does when it does one operation after the other. */
export interface Model<S, I, O> {
  /** The state before all operations. States are never changed, only replaced. */
  readonly initial: S;
  /** What `operation` means to the model; `undefined` if it does not concern it. Histories are checked key by key. */
  readonly meaning: (operation: Operation) => { readonly key: string; readonly input: I } | undefined;
  /** What an operation that has ended brought. */
  readonly output: (operation: Operation) => O;
  /**
   * The state after an operation, or `undefined` if it can't have brought `output` in `state`. Without `output` it may have
   * brought anything: its process crashed, or the answer was lost.
   */
  readonly step: (state: S, input: I, output: { readonly value: O } | undefined) => S | undefined;
  /** Differs for states that differ. @default JSON.stringify */
  readonly identity?: (state: S) => string;
}

/** An operation as the search sees it. */
interface Call<I, O> {
  readonly operation: Operation;
  readonly input: I;
  readonly output: { readonly value: O } | undefined;
  readonly begin: number;
  /** `Infinity` for one that never ended: it may happen at any time, or never. */
  readonly end: number;
}

/**
 * Checks whether the operations can be put in an order that respects their times and that `model` allows: Wing and Gong's
 * search with Lowe's memory of states that were tried, key by key.
 *
 * An operation that failed, or never ended, may have happened or not.
 */
export function checkLinearizable<S, I, O>(history: History, model: Model<S, I, O>): Verdict {
  const keys = new Map<string, Call<I, O>[]>();
  for (const operation of history.operations) {
    const meaning = model.meaning(operation);
    if (meaning === undefined) continue;
    const { end = Infinity, begin, error } = operation;
    const known = end !== Infinity && error === undefined;
    const calls = keys.get(meaning.key) ?? [];
    keys.set(meaning.key, calls);
    calls.push({
      operation,
      input: meaning.input,
      output: known ? { value: model.output(operation) } : undefined,
      begin,
      end: known ? end : Infinity,
    });
  }
  for (const [key, calls] of keys) {
    const verdict = new Search(key, calls, model).verdict();
    if (!verdict.ok) return verdict;
  }
  return { ok: true };
}

/** A step of the search: which call was put next, and the state before. */
interface Step<S> {
  readonly index: number;
  readonly before: S;
}

class Search<S, I, O> {
  readonly #key: string;
  /** In the order of their calls. */
  readonly #calls: readonly Call<I, O>[];
  readonly #model: Model<S, I, O>;
  readonly #identity: (state: S) => string;
  readonly #done: Uint8Array;
  readonly #tried = new Set<string>();
  readonly #path: Step<S>[] = [];
  #state: S;
  /** All calls before it are done. */
  #first = 0;
  /** No call from it on is done. */
  #beyond = 0;
  #left: number;
  /** The furthest that the search came, for the message. */
  #deepest: { readonly steps: number; readonly last: Operation; readonly stuck: Operation } | undefined;

  constructor(key: string, calls: readonly Call<I, O>[], model: Model<S, I, O>) {
    this.#key = key;
    this.#calls = calls.toSorted((a, b) => a.begin - b.begin);
    this.#model = model;
    this.#identity = model.identity ?? ((state) => JSON.stringify(state));
    this.#done = new Uint8Array(calls.length);
    this.#state = model.initial;
    this.#left = calls.filter(({ end }) => end !== Infinity).length;
  }

  verdict(): Verdict {
    let from = 0;
    while (this.#left > 0) {
      if (this.#advance(from)) {
        from = this.#first;
        continue;
      }
      const step = this.#path.pop();
      if (step === undefined) return this.#violation();
      this.#takeBack(step);
      from = step.index + 1;
    }
    return { ok: true };
  }

  /** Puts the first call from `from` on that may come next, and tells whether there was one. */
  #advance(from: number): boolean {
    const deadline = this.#deadline();
    for (let index = Math.max(from, this.#first); index < this.#calls.length; index += 1) {
      const call = this.#calls[index]!;
      if (call.begin > deadline) break;
      if (this.#done[index] === 1) continue;
      const after = this.#model.step(this.#state, call.input, call.output);
      if (after === undefined) continue;
      const step = { index, before: this.#state };
      this.#put(step, after);
      const configuration = this.#configuration();
      if (!this.#tried.has(configuration)) {
        this.#tried.add(configuration);
        this.#path.push(step);
        return true;
      }
      this.#takeBack(step);
    }
    this.#noteStuck(deadline);
    return false;
  }

  /** The first end of a call that is not done: what begins after it can't come before it. */
  #deadline(): number {
    let deadline = Infinity;
    for (let index = this.#first; index < this.#calls.length; index += 1) {
      const { begin, end } = this.#calls[index]!;
      if (begin > deadline) break;
      if (this.#done[index] === 0 && end < deadline) deadline = end;
    }
    return deadline;
  }

  #put({ index }: Step<S>, after: S): void {
    this.#done[index] = 1;
    this.#state = after;
    if (this.#calls[index]!.end !== Infinity) this.#left -= 1;
    while (this.#done[this.#first] === 1) this.#first += 1;
    this.#beyond = Math.max(this.#beyond, index + 1);
  }

  #takeBack({ index, before }: Step<S>): void {
    this.#done[index] = 0;
    this.#state = before;
    if (this.#calls[index]!.end !== Infinity) this.#left += 1;
    this.#first = Math.min(this.#first, index);
    while (this.#beyond > 0 && this.#done[this.#beyond - 1] === 0) this.#beyond -= 1;
  }

  /** Which calls are done, and the state: the rest of the search depends on nothing else. */
  #configuration(): string {
    const some: number[] = [];
    for (let index = this.#first; index < this.#beyond; index += 1) if (this.#done[index] === 1) some.push(index);
    return `${this.#first}:${some.join()}:${this.#identity(this.#state)}`;
  }

  #noteStuck(deadline: number): void {
    if (this.#deepest !== undefined && this.#deepest.steps >= this.#path.length) return;
    const stuck = this.#calls.find((call, index) => this.#done[index] === 0 && call.end === deadline);
    if (stuck === undefined) return;
    const last = this.#calls[this.#path.at(-1)?.index ?? 0]!.operation;
    this.#deepest = { steps: this.#path.length, last, stuck: stuck.operation };
  }

  #violation(): Verdict {
    const { last, stuck } = this.#deepest!;
    const message = `Of ${JSON.stringify(this.#key)}, no order explains what was seen; it ends between\n  ${describeOperation(last)}\n  ${describeOperation(stuck)}`;
    return { ok: false, key: this.#key, message, events: [last, stuck] };
  }
}
