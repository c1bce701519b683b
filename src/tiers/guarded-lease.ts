import type { Lease, LeaseAnswer, MaybePromise } from '../contracts.js';
import type { Entry } from '../entry.js';

/** How one operation of a tier is run: within its deadline, its failure reported; `undefined` if there was one. */
export type Run = <T>(operation: 'lease' | 'renew' | 'release', run: () => MaybePromise<T>) => Promise<T | undefined>;

/** A lease that never throws, rejects or takes longer than the deadlines of its tier. */
export class GuardedLease {
  readonly #lease: Lease;
  readonly #run: Run;
  readonly #onRefused: () => void;
  /** Whether there is nothing more to be done about it: its entry is on the way to storage, or it was released. */
  ended = false;

  constructor(lease: Lease, run: Run, onRefused: () => void) {
    this.#lease = lease;
    this.#run = run;
    this.#onRefused = onRefused;
  }

  /** `false`: it is lost. Where the tier does not answer, it may yet be there. */
  async renew(ms: number): Promise<boolean> {
    return (await this.#run('renew', () => this.#lease.renew(ms))) !== false;
  }

  async release(): Promise<void> {
    this.ended = true;
    await this.#run('release', () => this.#lease.release());
  }

  /** Stores `entry`, or lets those know who hold it that others have changed the key since its load began. */
  async store(entry: Entry): Promise<void> {
    if (!(await this.#lease.store(entry, entry.errorUntil))) this.#onRefused();
  }
}

/** Whether `answer`, something a tier returned, is an answer to who asks for a lease. */
export function isLeaseAnswer(answer: unknown, isEntry: (value: unknown) => boolean): answer is LeaseAnswer {
  const { kind, entry, lease } = Object(answer) as { kind?: unknown; entry?: unknown; lease?: Partial<Lease> };
  if (kind === 'held') return true;
  if (kind === 'entry') return isEntry(entry);
  return (
    kind === 'lease' &&
    typeof lease?.renew === 'function' &&
    typeof lease.store === 'function' &&
    typeof lease.release === 'function'
  );
}
