import { ignore } from '../base/promises.js';
import type { Clock, Lease, LeaseAnswer, MaybePromise } from '../contracts.js';
import { isEntry, type Entry } from '../entry.js';
import type { Condition } from '../ports.js';

/** How one operation of a tier is run: within its deadline, its failure reported; `undefined` if there was one. */
export type Run = <T>(operation: 'lease' | 'renew' | 'release', run: () => MaybePromise<T>) => Promise<T | undefined>;

/** What storing under a lease goes by. */
export interface LeaseTerms extends Pick<Condition, 'losses'> {
  /** Called if what is stored comes too late. */
  readonly onRefused: () => void;
}

/** A lease that never throws, rejects or takes longer than the deadlines of its tier. */
export class GuardedLease implements Condition {
  readonly #lease: Lease;
  readonly #run: Run;
  readonly #onRefused: () => void;
  readonly losses: number;
  /** Whether there is nothing more to be done about it: its entry is on the way to storage, or it was released. */
  ended = false;
  #cancel: () => void = ignore;

  constructor(lease: Lease, run: Run, { losses, onRefused }: LeaseTerms) {
    this.#lease = lease;
    this.#run = run;
    this.#onRefused = onRefused;
    this.losses = losses;
  }

  /** Renews the lease every third of `ms` until it is released or lost. It is given back early when `isOver` says that nobody wants it. */
  keepUp(clock: Clock, ms: number, isOver: () => boolean): void {
    const wait = (): void => {
      this.#cancel = clock.after(ms / 3, () => {
        // Somebody asked for the key to be free; nobody else may have to wait for work that hangs.
        if (isOver() && !this.ended) return void this.release();
        wait();
        // Where the tier does not answer, the lease may yet be there.
        void this.#run('renew', () => this.#lease.renew(ms)).then((goesOn) => {
          if (goesOn === false) this.#cancel();
        });
      });
    };
    wait();
  }

  /** `open`: the load under it is over. */
  release(open = false): Promise<unknown> | undefined {
    this.#cancel();
    if (this.ended) return undefined;
    this.ended = true;
    return this.#run('release', () => this.#lease.release(open));
  }

  /** Stores `entry`, or lets its holders know that others have changed the key since its load began. */
  async store(entry: Entry): Promise<boolean> {
    const stored = await this.#lease.store(entry, entry.errorUntil);
    if (!stored) this.#onRefused();
    return stored;
  }
}

/** Whether `answer`, something a tier returned, answers a request for a lease. */
export function isLeaseAnswer(answer: unknown): answer is LeaseAnswer {
  const { kind, entry, lease } = Object(answer) as { kind?: unknown; entry?: unknown; lease?: Partial<Lease> };
  if (kind === 'held' || kind === 'open') return true;
  if (kind === 'entry') return isEntry(entry);
  return (
    kind === 'lease' &&
    typeof lease?.renew === 'function' &&
    typeof lease.store === 'function' &&
    typeof lease.release === 'function'
  );
}
