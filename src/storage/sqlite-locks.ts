import { pauseAfter } from '../base/backoff.js';
import { pause, systemClock } from '../base/clock.js';
import type { MaybePromise } from '../contracts.js';
import { busyTimeoutOf, isInTransaction, setBusyTimeout, type SqliteDatabase } from './sqlite-database.js';

/** The longest that SQLite itself waits for a lock, in milliseconds: nothing else in the process runs meanwhile. */
const LONGEST_BLOCK = 25;

const PAUSES = Object.freeze({ attempts: Infinity, initial: 4, max: 50 });

/** SQLITE_BUSY. Extended codes hold it in their lowest byte. */
const BUSY = 5;

interface Waiting {
  /** Runs the work and settles its promise. Throws, and leaves the promise alone, if there is still a lock. */
  readonly attempt: () => void;
  readonly reject: (reason: unknown) => void;
  /** The lock that was met first. */
  readonly reason: unknown;
  /** The monotonic instant from which on a lock is an error. */
  readonly end: number;
}

/**
 * Waits for locks of other connections without blocking the process.
 *
 * Work that meets no lock is synchronous. Work that meets one is tried again by a timer, and changes wait behind it, so that
 * they happen in the order of their calls.
 */
export class SqliteLocks {
  readonly #busyTimeout: number;
  #waiting: Waiting[] = [];
  #database: SqliteDatabase | undefined;
  /** Whether the busy timeout of the database is ours. */
  #isOurs = false;

  /** `busyTimeout`: milliseconds in all that work waits for locks. */
  constructor(busyTimeout: number) {
    this.#busyTimeout = busyTimeout;
  }

  /** How long SQLite itself may wait for a lock. */
  get block(): number {
    return Math.min(LONGEST_BLOCK, this.#busyTimeout);
  }

  /** Takes an open database. One of a caller's with a busy timeout keeps it, and blocks the process for so long. */
  watch(database: SqliteDatabase): void {
    this.#database = database;
    this.#isOurs = busyTimeoutOf(database) <= this.block;
    if (this.#isOurs) setBusyTimeout(database, this.block);
  }

  /** Lets go of the database, which is about to be closed. What waits is tried once more. */
  release(): void {
    this.#database = undefined;
  }

  /** Runs `work`, which reads. */
  read<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    try {
      return work();
    } catch (error) {
      if (!this.#isWorthWaiting(error)) throw error;
      return this.#wait(work, error);
    }
  }

  /** Runs `work`, which changes something, after all that was to be changed before. */
  change<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    return this.#waiting.length > 0 ? this.#wait(work, this.#waiting[0]?.reason) : this.read(work);
  }

  /** In a transaction of the caller's, later is too late. */
  #isWorthWaiting(error: unknown): boolean {
    return isLocked(error) && this.#busyTimeout > 0 && !this.#isTaken();
  }

  #isTaken(): boolean {
    return this.#database !== undefined && isInTransaction(this.#database);
  }

  #wait<T>(work: () => MaybePromise<T>, reason: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = systemClock.monotonic() + this.#busyTimeout;
      this.#waiting.push({ attempt: () => resolve(work()), reject, reason, end });
      if (this.#waiting.length === 1) void this.#tryUntilDone();
    });
  }

  async #tryUntilDone(): Promise<void> {
    // The next calls of this turn will meet the lock, too: they must not block the process one after another.
    this.#block(0);
    for (let failures = 1; this.#waiting.length > 0; failures += 1) {
      await pause(pauseAfter(failures, PAUSES, systemClock));
      if (this.#tryInOrder()) failures = 0;
    }
    this.#block(this.block);
  }

  /** Runs what waits, up to the first that meets a lock, and tells whether any did not. */
  #tryInOrder(): boolean {
    const before = this.#waiting.length;
    // Part of a transaction that the caller began since, it could be rolled back with that.
    while (!this.#isTaken()) {
      const [first] = this.#waiting;
      if (first === undefined) return true;
      try {
        first.attempt();
      } catch (error) {
        if (isLocked(error)) break;
        first.reject(error);
      }
      this.#waiting.shift();
    }
    const now = systemClock.monotonic();
    for (const late of this.#waiting.filter(({ end }) => end <= now)) late.reject(late.reason);
    this.#waiting = this.#waiting.filter(({ end }) => end > now);
    return this.#waiting.length < before;
  }

  #block(ms: number): void {
    if (!this.#isOurs || this.#database === undefined) return;
    try {
      setBusyTimeout(this.#database, ms);
    } catch {
      // It was closed meanwhile.
    }
  }
}

/** Whether `error` says, in the words of either driver, that another connection has the lock. */
function isLocked(error: unknown): boolean {
  const { errcode, code } = Object(error) as { readonly errcode?: unknown; readonly code?: unknown };
  return (typeof errcode === 'number' && (errcode & 0xff) === BUSY) || String(code).startsWith('SQLITE_BUSY');
}
