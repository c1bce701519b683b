import { queueOwned } from '../../base/owned.js';
import type { Ownership, QueuedWrite, WriteQueue } from '../../contracts.js';
import type { Link } from './link.js';

/** The owner of a queue that nobody owns, as those who don't ask for ownership see it. */
const NOBODY = '';

/** A queue that all processes share, behind a network: one owner at a time changes it, as in a Redis. */
export class SharedQueue {
  readonly #now: () => number;
  readonly #rows = new Map<string, QueuedWrite>();
  #owner = NOBODY;
  #ownedUntil = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The queue as one life of a process sees it. */
  queue(link: Link): WriteQueue {
    const rows = (dead: boolean) => (): Promise<readonly QueuedWrite[]> =>
      link
        .request('read queue', () => ({ rows: this.#list(dead) }))
        // Read on the way back, so that nobody changes what others hold.
        .then((answer) => answer.rows.map((row) => structuredClone(row)));
    const changes = (owner: string): Pick<Ownership, 'put' | 'remove'> => ({
      put: (writes) => {
        const kept = writes.map((write) => structuredClone(write));
        return this.#change(link, owner, `keep ${kept.map(({ key }) => key).join(',')}`, () => {
          for (const write of kept) this.#rows.set(write.id, write);
        });
      },
      remove: (ids) =>
        this.#change(link, owner, `forget ${ids.length}`, () => {
          for (const id of ids) this.#rows.delete(id);
        }),
    });
    return {
      name: 'redis',
      load: rows(false),
      listDead: rows(true),
      ...changes(NOBODY),
      own: async (owner, ms, takeOver) => {
        const isOwner = await link.request('own queue', () => this.#take(owner, ms, takeOver));
        if (!isOwner) return undefined;
        return {
          ...changes(owner),
          renew: (more) => link.request('renew queue', () => this.#owner === owner && this.#take(owner, more, false)),
          release: () =>
            link.request('leave queue', () => {
              if (this.#owner === owner) this.#owner = NOBODY;
            }),
        };
      },
    };
  }

  #list(dead: boolean): QueuedWrite[] {
    return [...this.#rows.values()].filter((row) => (row.dead !== undefined) === dead);
  }

  #take(owner: string, ms: number, takeOver: boolean): boolean {
    const isFree = this.#owner === NOBODY || this.#owner === owner || this.#ownedUntil <= this.#now();
    if (!isFree && !takeOver) return false;
    this.#owner = owner;
    this.#ownedUntil = this.#now() + ms;
    return true;
  }

  async #change(link: Link, owner: string, what: string, run: () => void): Promise<void> {
    const isDone = await link.request(what, () => {
      if (this.#owner !== owner) return false;
      run();
      return true;
    });
    if (!isDone) throw queueOwned('redis');
  }
}
