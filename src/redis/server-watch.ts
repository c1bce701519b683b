import { systemClock } from '../base/clock.js';
import { ignore } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import { textOf, type RedisClient, type RedisCommands, type Send, type Word } from './client.js';
import { contactsOf, type Contact, type Contacts } from './contacts.js';

/** One per client: a listener of its own for each storage would make many on one client. */
const WATCHES = new WeakMap<RedisClient, ServerWatch>();

/** The watch over the servers that `redis` reaches by `client`, or `undefined` if that does not tell when it is connected. */
export function watchOf(client: RedisClient, redis: RedisCommands): ServerWatch | undefined {
  const contacts = contactsOf(client);
  if (contacts === undefined) return undefined;
  const watch = WATCHES.get(client) ?? new ServerWatch(redis.isCluster, contacts);
  WATCHES.set(client, watch);
  return watch;
}

/** How long replies are held back until it is known which server they are of, milliseconds. Then it counts as another one. */
const LONGEST_CHECK = 5_000;

/** A server that tells no identity: the client may not ask, or the server is of another make. */
const NAMELESS = '';

/**
 * Notices when a client has reached a server again, and when that is not the same run of the same server as before, so that
 * it may have an earlier state. Does so only while anybody listens.
 */
export class ServerWatch {
  readonly #isCluster: boolean;
  readonly #contacts: Contacts;
  readonly #ready = new Set<() => void>();
  readonly #lost = new Set<() => void>();
  #stop: (() => void) | undefined;
  /** The runs of servers that were reached, as each tells its own. */
  readonly #known = new Set<string>();
  /** The checks under way. Never rejects. */
  #checking: Promise<unknown> | undefined;

  constructor(isCluster: boolean, contacts: Contacts) {
    this.#isCluster = isCluster;
    this.#contacts = contacts;
  }

  onReady(ready: () => void): () => void {
    return this.#listen(this.#ready, ready);
  }

  onLoss(lost: () => void): () => void {
    return this.#listen(this.#lost, lost);
  }

  /** `redis` with replies that wait until it is known which server has sent them. */
  holdBack(redis: RedisCommands): RedisCommands {
    return {
      ...redis,
      send: async (key, command) => {
        const reply = await redis.send(key, command);
        while (this.#checking !== undefined) await this.#checking;
        return reply;
      },
    };
  }

  #listen(listeners: Set<() => void>, listener: () => void): () => void {
    const own = (): void => listener();
    this.#stop ??= this.#contacts.listen((contact) => this.#begin(contact));
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (this.#ready.size + this.#lost.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
      this.#known.clear();
    };
  }

  #begin({ isFirst, isNew, ready }: Contact): void {
    if (isNew) ready.then(() => tellAll(this.#ready), ignore);
    const check = this.#check(ready, isFirst);
    // Before the first contact nothing was read that a later state could contradict.
    if (isFirst) return;
    const checking = Promise.all([this.#checking, check]).then(() => {
      if (this.#checking === checking) this.#checking = undefined;
    });
    this.#checking = checking;
  }

  async #check(ready: Promise<Send>, isFirst: boolean): Promise<void> {
    // A reply that never comes must not hold back all others for ever.
    const run = await withDeadline(systemClock, LONGEST_CHECK, ready.then(runOf), ignore).catch(ignore);
    const isOther = run === undefined || !this.#known.has(run);
    // The other servers of a cluster are still the same.
    if (isOther && !this.#isCluster) this.#known.clear();
    if (run !== undefined) this.#known.add(run);
    if (isOther && !isFirst) tellAll(this.#lost);
  }
}

function tellAll(listeners: ReadonlySet<() => void>): void {
  for (const tell of [...listeners]) tell();
}

/** What tells one run of a server from all others. */
async function runOf(ask: Send): Promise<string> {
  try {
    const info = textOf((await ask(['INFO', 'server'])) as Word);
    return /^run_id:(\w+)/m.exec(info)?.[1] ?? NAMELESS;
  } catch (error) {
    if (/^(?:NOPERM|ERR unknown command)/.test(String((error as Error | undefined)?.message))) return NAMELESS;
    throw error;
  }
}
