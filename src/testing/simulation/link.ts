import type { Core } from './core.js';
import type { Life } from './process.js';
import type { ChanceStream } from './streams.js';

/** How long a client takes to notice that its connection is gone. */
const NOTICE = [1, 20] as const;

/** The connection of one life of a process to one service. What is sent one after the other arrives in this order. */
export class Link {
  readonly #core: Core;
  readonly #process: string;
  readonly #life: Life;
  readonly #service: string;
  readonly #stream: ChanceStream;
  #lastThere = 0;
  #lastBack = 0;

  constructor(core: Core, process: string, life: Life, service: string) {
    this.#core = core;
    this.#process = process;
    this.#life = life;
    this.#service = service;
    this.#stream = core.streams.of(`link ${process} ${service}`);
  }

  /**
   * Has the service do `run`, and resolves with its answer. What is on its way when the process crashes is done
   * all the same. Rejects if the connection is lost, before or after it was done.
   */
  request<T>(what: string, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isLost(this.#core.faults.requestLoss)) return this.#fail(`${what} (request lost)`, reject);
      const there = this.#delay((this.#lastThere = this.#next(this.#lastThere)));
      this.#core.heap.after(there, () => this.#serve(what, run, resolve, reject));
    });
  }

  /** Lets something from the service arrive at the process, without having been asked for. */
  push(run: () => void): void {
    if (this.#isLost(0)) return;
    this.#life.arrive(this.#delay((this.#lastBack = this.#next(this.#lastBack))), run);
  }

  #serve<T>(what: string, run: () => T, resolve: (value: T) => void, reject: (error: Error) => void): void {
    const { heap, faults, network, services } = this.#core;
    const busy = (services.get(this.#service)?.hangsUntil ?? 0) - heap.time;
    if (busy > 0) {
      heap.after(busy, () => this.#serve(what, run, resolve, reject));
      return;
    }
    if (network.isCut(this.#process, this.#service)) return this.#fail(`${what} (request lost)`, reject);
    const answer = run();
    this.#core.note(this.#process, `${this.#service}: ${what}${inWords(answer)}`);
    if (this.#isLost(faults.replyLoss)) return this.#fail(`${what} (reply lost)`, reject);
    const back = this.#delay((this.#lastBack = this.#next(this.#lastBack)));
    this.#life.arrive(back, () => {
      if (network.isCut(this.#process, this.#service)) this.#fail(`${what} (reply lost)`, reject);
      else resolve(answer);
    });
  }

  /** When something sent now arrives: after what was sent before it, and not while the link is held. */
  #next(last: number): number {
    const { heap, faults, network } = this.#core;
    const sent = Math.max(heap.time, network.heldUntil(this.#process, this.#service));
    return Math.max(last, sent + this.#stream.within(faults.latency));
  }

  #delay(instant: number): number {
    return instant - this.#core.heap.time;
  }

  #isLost(probability: number): boolean {
    const drawn = this.#stream.happens(probability);
    return drawn || this.#core.network.isCut(this.#process, this.#service);
  }

  #fail(what: string, reject: (error: Error) => void): void {
    this.#core.note(this.#process, `${this.#service}: ${what}`);
    this.#core.log.disturb(this.#process, `loss ${this.#service}`, 0);
    if (this.#stream.happens(this.#core.faults.silence)) return;
    this.#life.arrive(this.#stream.within(NOTICE), () => reject(new Error(`Connection to ${this.#service} lost`)));
  }
}

function inWords(answer: unknown): string {
  if (typeof answer === 'object' && answer !== null && 'boot' in answer && 'answer' in answer)
    return inWords(answer.answer);
  if (answer === undefined || typeof answer === 'function') return '';
  if (Array.isArray(answer)) return ` = ${answer.map((it: unknown) => wordFor(it ?? 'nothing')).join(',')}`;
  return ` = ${wordFor(answer)}`;
}

function wordFor(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return String(answer);
  if ('kind' in answer) return String(answer.kind);
  if ('version' in answer) return String(answer.version);
  return 'value' in answer ? JSON.stringify(answer.value ?? null) : '?';
}
