import { ignore, promised } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import type { BackplaneAdapter, BackplaneMessage, Clock } from '../contracts.js';

/** What is to be told, without what makes a message of it. */
export type News = Omit<BackplaneMessage, 'origin' | 'sequence' | 'previous'>;

/** What outgoing messages need to know, and whom they tell. */
export interface OutgoingOptions {
  readonly backplane: BackplaneAdapter;
  readonly origin: () => string;
  readonly clock: Clock;
  /** Deadline of one attempt, milliseconds. */
  readonly timeout: number;
  /** Whether a caller may vanish without a trace, and what it waits for with it. */
  readonly mayVanish: boolean;
  /** Told of every attempt that failed. */
  readonly report: (error: unknown) => void;
}

const KEYS_PER_MESSAGE = 1_000;
const MESSAGES_AT_ONCE = 16;
/** Messages kept while nobody takes them. */
const MOST_KEPT = 1_000;
const RETRY_PAUSE = 1_000;
/** What one attempt is taken to last at most where the cache sets no limit, milliseconds. */
const LONGEST = 60_000;

/**
 * The messages on their way to a backplane.
 *
 * What is told in one turn goes together. What the backplane refuses is sent again, with the same numbers and instants,
 * until it is taken; what is too much to keep becomes one message per namespace that clears it.
 */
export class Outgoing {
  readonly #options: OutgoingOptions;
  #sequence = 0;
  /** When the backplane last took messages, epoch milliseconds. */
  #takenAt: number | undefined;
  /** Not a message yet: more may be added. */
  #fresh: News[] = [];
  /** Tried already, or about to be. Their numbers stay. */
  #pending: BackplaneMessage[] = [];
  /** The round that takes what is fresh along, until it begins. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();
  /** When a round last began or got on, by the monotonic clock. */
  #movedAt = -Infinity;
  #cancelRetry: () => void = ignore;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Sends `news`; resolves when that was tried once. Never rejects. */
  tell(news: News): Promise<void> {
    this.#fresh.push(news);
    return this.#round();
  }

  /** Makes a last attempt, and lets go of what is left. */
  async close(): Promise<void> {
    this.#cancelRetry();
    if (this.#pending.length > 0) await this.#round();
    await this.#last;
    this.#cancelRetry();
    this.#pending = [];
  }

  #round(): Promise<void> {
    if (this.#options.mayVanish) return (this.#last = this.#outwait(this.#last).then(() => this.#send()));
    this.#next ??= this.#last = this.#last.then(() => {
      this.#next = undefined;
      return this.#send();
    });
    return this.#next;
  }

  /** Waits for `round` of another request, with a timer of this one's, unless nobody seems to be left to end it. */
  async #outwait(round: Promise<void>): Promise<void> {
    const { clock, timeout } = this.#options;
    const over = round.then(() => true);
    for (;;) {
      const left = this.#movedAt + 2 * Math.min(timeout, LONGEST) - clock.monotonic();
      if (left <= 0 || (await withDeadline(clock, left, over, ignore).catch(() => false))) return;
    }
  }

  async #send(): Promise<void> {
    this.#cancelRetry();
    for (const news of merged(this.#fresh.splice(0))) this.#pending.push(this.#numbered(news));
    if (this.#pending.length > MOST_KEPT) this.#clearInstead();
    const { backplane, clock, timeout, report } = this.#options;
    const overdue = (): Error => new Error(`The backplane ${backplane.name} took longer than ${timeout} ms to publish`);
    while (this.#pending.length > 0) {
      const batch = this.#pending.slice(0, MESSAGES_AT_ONCE);
      this.#movedAt = clock.monotonic();
      try {
        const published = promised(() => backplane.publish(this.#dated(batch)));
        await withDeadline(clock, timeout, published, overdue);
      } catch (error) {
        report(error);
        this.#cancelRetry = clock.after(RETRY_PAUSE, () => void this.#round());
        return;
      }
      this.#takenAt = clock.now();
      // Another request may have taken this one for gone, and sent them too.
      this.#pending = this.#pending.filter((message) => !batch.includes(message));
    }
  }

  /** `batch` as it goes now: those that go together are on their way now, too. */
  #dated(batch: readonly BackplaneMessage[]): readonly BackplaneMessage[] {
    const now = this.#options.clock.now();
    return batch.map((message, index) => {
      const previous = index === 0 ? this.#takenAt : now;
      return previous === undefined ? message : { ...message, previous };
    });
  }

  #numbered(news: News): BackplaneMessage {
    this.#sequence += 1;
    return { ...news, origin: this.#options.origin(), sequence: this.#sequence };
  }

  #clearInstead(): void {
    const at = this.#pending.reduce((latest, message) => Math.max(latest, message.at), -Infinity);
    const spaces = new Map(this.#pending.map(({ space }) => [JSON.stringify(space), space]));
    this.#pending = [...spaces.values()].map((space) => this.#numbered({ kind: 'clear', space, at }));
  }
}

/** `all` in as few as possible: neighbours of one kind and namespace in one, up to so many keys. */
function merged(all: readonly News[]): News[] {
  const result: (News & { keys?: string[] })[] = [];
  for (const news of all) {
    for (const keys of news.keys === undefined ? [undefined] : chunks(news.keys)) {
      const last = result.at(-1);
      const length = keys?.length ?? 0;
      if (
        keys !== undefined &&
        last?.keys !== undefined &&
        isAlike(last, news) &&
        last.keys.length + length <= KEYS_PER_MESSAGE
      )
        last.keys.push(...keys);
      else result.push({ ...news, ...(keys === undefined ? {} : { keys: [...keys] }) } as News & { keys?: string[] });
    }
  }
  return result;
}

/** Keys of several moments may share a message if its instant does not matter. */
function isAlike(one: News, other: News): boolean {
  const isSameKind = one.kind === other.kind && one.space === other.space && one.pending === other.pending;
  return isSameKind && (one.kind !== 'expire' || one.at === other.at);
}

function chunks(keys: readonly string[]): (readonly string[])[] {
  if (keys.length <= KEYS_PER_MESSAGE) return [keys];
  const count = Math.ceil(keys.length / KEYS_PER_MESSAGE);
  return Array.from({ length: count }, (_, index) =>
    keys.slice(index * KEYS_PER_MESSAGE, (index + 1) * KEYS_PER_MESSAGE),
  );
}
