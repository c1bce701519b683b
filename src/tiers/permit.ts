import type { Condition, LoadPermit } from '../ports.js';
import type { GuardedLease } from './guarded-lease.js';

/** What each storage tier said of a key before a load, by the place of the tier. */
export class Permit implements LoadPermit {
  readonly #conditions: (Condition | undefined)[] = [];
  /** What is loaded now may claim, by the place of the tier. */
  readonly since: (number | undefined)[] = [];
  #lease: GuardedLease | undefined;
  /** The doubt in what storage held for the key when this was given. */
  readonly doubt: object | undefined;

  constructor(doubt?: object) {
    this.doubt = doubt;
  }

  /** What storing in the tier at `depth` goes by. A lease that has ended is none any more. */
  at(depth: number): Condition | undefined {
    return this.#conditions[depth];
  }

  note(depth: number, condition: Condition | undefined): void {
    this.#conditions[depth] = condition;
  }

  noteLease(depth: number, lease: GuardedLease): void {
    this.#lease = lease;
    this.#conditions[depth] = lease;
  }

  release(open?: boolean): Promise<unknown> | undefined {
    return this.#lease?.release(open);
  }
}
