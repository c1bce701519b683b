import { ignore, promised } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import type { BackplaneAdapter, BackplaneMessage, MemoryTier } from '../contracts.js';
import type { PeersContext, PeersPort } from '../ports.js';
import { DoubtedMemory } from './doubted.js';
import { Incoming } from './incoming.js';
import { Outgoing, type News } from './outgoing.js';

const RETRY_PAUSE = 1_000;
/** What an attempt to listen is taken to last at most where the cache sets no limit, milliseconds. */
const LONGEST = 60_000;

/** Keeps the memory of this cache in step with those of other processes, through a backplane. */
export class Coherence implements PeersPort {
  readonly #backplane: BackplaneAdapter;
  readonly #context: PeersContext;
  readonly #watched: DoubtedMemory<unknown>[] = [];
  /** Made at first use: Workers have no randomness while their modules are loaded. */
  #origin: string | undefined;
  readonly #outgoing: Outgoing;
  readonly #incoming: Incoming;
  #state: 'idle' | 'starting' | 'away' | 'listening' | 'closed' = 'idle';
  #starting: Promise<void> | undefined;
  /** When nobody waits for that any more, by the monotonic clock. */
  #startsUntil = Infinity;
  #leave: (() => unknown) | undefined;
  #cancelRetry: () => void = ignore;

  constructor(backplane: BackplaneAdapter, context: PeersContext) {
    this.#backplane = backplane;
    this.#context = context;
    const { clock, clockSkew, timeout, mayVanish } = context;
    this.#outgoing = new Outgoing({
      backplane,
      clock,
      timeout,
      mayVanish,
      origin: () => (this.#origin ??= crypto.randomUUID()),
      report: (error) => this.#report('publish', error),
    });
    this.#incoming = new Incoming(clock, clockSkew, () => this.#doubt());
  }

  watch<V>(memory: MemoryTier<V>): MemoryTier<V> {
    const doubted = new DoubtedMemory(memory, this.#context.clock);
    this.#watched.push(doubted);
    return doubted;
  }

  #doubt(): void {
    for (const memory of this.#watched) memory.doubt();
    this.#context.doubt();
  }

  #report(operation: 'publish' | 'subscribe' | 'receive', error: unknown): void {
    this.#context.report({ tier: this.#backplane.name, operation, error });
  }

  /**
   * Starts to listen at the first call. A promise while that is under way: what is put into memory before it resolves
   * may miss a message. It never rejects, and takes no longer than its deadline.
   */
  start(): Promise<void> | undefined {
    if (this.#state === 'idle') {
      const { clock, timeout } = this.#context;
      this.#startsUntil = clock.monotonic() + 2 * Math.min(timeout, LONGEST);
      return (this.#starting = this.#listen());
    }
    if (this.#state !== 'starting' || this.#starting === undefined) return undefined;
    return this.#context.mayVanish ? this.#outwait(this.#starting) : this.#starting;
  }

  /** Waits for another request to listen, with a timer of this one's. Where that seems to be gone, this one takes over. */
  async #outwait(starting: Promise<void>): Promise<void> {
    const { clock } = this.#context;
    const left = Math.max(0, this.#startsUntil - clock.monotonic());
    await withDeadline(clock, left, starting, ignore).catch(ignore);
    if (this.#state !== 'starting' || clock.monotonic() < this.#startsUntil) return;
    this.#state = 'away';
    void this.#listen();
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
    const { clock, timeout } = this.#context;
    await withDeadline(
      clock,
      timeout,
      promised(async () => void (await leave?.())),
      ignore,
    ).catch(ignore);
  }

  async #listen(): Promise<void> {
    const { clock, timeout } = this.#context;
    const backplane = this.#backplane;
    const isFirst = this.#state === 'idle';
    if (isFirst) this.#state = 'starting';
    const listener = { receive: (message: BackplaneMessage) => this.#receive(message), lost: () => this.#lost() };
    const subscribing = promised(() => backplane.subscribe(listener));
    void subscribing.then((leave) => {
      if (this.#state === 'closed') return void promised(() => leave()).catch(ignore);
      this.#leave = leave;
      // Others were let go on without it, and may have put something into memory that has changed since.
      if (this.#state === 'away') this.#doubt();
      this.#incoming.begin();
      this.#state = 'listening';
    }, ignore);
    const overdue = (): Error =>
      new Error(`The backplane ${backplane.name} took longer than ${timeout} ms to subscribe, and still may`);
    let late = false;
    try {
      await withDeadline(clock, timeout, subscribing, () => {
        late = true;
        return overdue();
      });
    } catch (error) {
      if (this.#state === 'closed') return;
      this.#state = 'away';
      this.#report('subscribe', error);
      // One that hangs is not asked again: it is still at it.
      if (late) subscribing.catch(() => this.#again());
      else this.#again();
    }
  }

  #again(): void {
    if (this.#state !== 'closed') this.#cancelRetry = this.#context.clock.after(RETRY_PAUSE, () => void this.#listen());
  }

  #receive(message: BackplaneMessage): void {
    if (this.#state === 'closed' || message.origin === this.#origin) return;
    try {
      if (this.#incoming.isNew(message)) this.#context.apply(message);
    } catch (error) {
      this.#report('receive', error);
    }
  }

  #lost(): void {
    if (this.#state !== 'closed') this.#doubt();
  }
}
