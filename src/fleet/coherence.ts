import type { Backplane, BackplaneMessage, Clock } from '../contracts.js';
import { Incoming } from './incoming.js';
import { Outgoing, type News } from './outgoing.js';
import { ignore, promised, withDeadline } from '../base/race.js';

/** What coherence needs to know, and whom it tells. */
export interface CoherenceOptions {
  readonly backplane: Backplane;
  readonly clock: Clock;
  /** Deadline of one attempt to publish or to listen, milliseconds. */
  readonly timeout: number;
  /** Does to memory and flights what `message` says was done elsewhere. */
  readonly apply: (message: BackplaneMessage) => void;
  /** Called when messages were lost: what memory holds may be out of date. */
  readonly doubt: () => void;
  readonly report: (operation: 'publish' | 'subscribe' | 'receive', error: unknown) => void;
}

const RETRY_PAUSE = 1_000;

/** Keeps the memory of this cache in step with those of other processes, through a backplane. */
export class Coherence {
  readonly #options: CoherenceOptions;
  /** Made at first use: Workers have no randomness while their modules are loaded. */
  #origin: string | undefined;
  readonly #outgoing: Outgoing;
  readonly #incoming: Incoming;
  #state: 'idle' | 'starting' | 'away' | 'listening' | 'closed' = 'idle';
  #starting: Promise<void> | undefined;
  #leave: (() => unknown) | undefined;
  #cancelRetry: () => void = ignore;

  constructor(options: CoherenceOptions) {
    this.#options = options;
    const { backplane, clock, timeout } = options;
    this.#outgoing = new Outgoing({
      backplane,
      clock,
      timeout,
      origin: () => (this.#origin ??= crypto.randomUUID()),
      report: (error) => options.report('publish', error),
    });
    this.#incoming = new Incoming(clock, () => options.doubt());
  }

  /**
   * Starts to listen at the first call. A promise while that is under way: what is put into memory before it resolves
   * may miss a message. It never rejects, and takes no longer than its deadline.
   */
  start(): Promise<void> | undefined {
    if (this.#state === 'idle') this.#starting = this.#listen();
    return this.#state === 'starting' ? this.#starting : undefined;
  }

  /** Tells the others; resolves when that was tried once. Never rejects. */
  async tell(news: News): Promise<void> {
    if (this.#state === 'closed') return;
    void this.start();
    await this.#outgoing.tell(news);
  }

  async close(): Promise<void> {
    this.#cancelRetry();
    await this.#outgoing.close();
    this.#state = 'closed';
    this.#incoming.rest();
    const leave = this.#leave;
    this.#leave = undefined;
    const { clock, timeout } = this.#options;
    await withDeadline(
      clock,
      timeout,
      promised(async () => void (await leave?.())),
      ignore,
    ).catch(ignore);
  }

  async #listen(): Promise<void> {
    const { backplane, clock, timeout, report, doubt } = this.#options;
    const isFirst = this.#state === 'idle';
    if (isFirst) this.#state = 'starting';
    const listener = { receive: (message: BackplaneMessage) => this.#receive(message), lost: () => this.#lost() };
    const subscribing = promised(() => backplane.subscribe(listener));
    void subscribing.then((leave) => {
      if (this.#state === 'closed') return void promised(() => leave()).catch(ignore);
      this.#leave = leave;
      // Others were let go on without it, and may have put something into memory that has changed since.
      if (this.#state === 'away') doubt();
      this.#state = 'listening';
    }, ignore);
    const overdue = (): Error =>
      new Error(`The backplane ${backplane.name} took longer than ${timeout} ms to subscribe; it may still come`);
    let late = false;
    try {
      await withDeadline(clock, timeout, subscribing, () => {
        late = true;
        return overdue();
      });
    } catch (error) {
      if (this.#state === 'closed') return;
      this.#state = 'away';
      report('subscribe', error);
      // One that hangs is not asked again: it is still at it.
      if (late) subscribing.catch(() => this.#again());
      else this.#again();
    }
  }

  #again(): void {
    if (this.#state !== 'closed') this.#cancelRetry = this.#options.clock.after(RETRY_PAUSE, () => void this.#listen());
  }

  #receive(message: BackplaneMessage): void {
    if (this.#state === 'closed' || message.origin === this.#origin) return;
    try {
      if (this.#incoming.isNew(message.origin, message.sequence)) this.#options.apply(message);
    } catch (error) {
      this.#options.report('receive', error);
    }
  }

  #lost(): void {
    if (this.#state !== 'closed') this.#options.doubt();
  }
}
