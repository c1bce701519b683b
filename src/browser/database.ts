import type { Clock } from '../contracts.js';
import { SoloflightError } from '../errors.js';
import { openDatabase, type Schema } from './open-database.js';
import { storageError } from './storage-errors.js';

/** Options of a {@link Database}. */
export interface DatabaseOptions extends Schema {
  /** How long to wait for the browser to open it, milliseconds. */
  readonly openTimeout: number;
  /** After so many milliseconds an opening counts as hung: further calls fail at once until it is over. */
  readonly hangsAfter: number;
  /** `'strict'`: stored data is on the disk, not only on its way there. */
  readonly durability: IDBTransactionDurability;
  readonly clock: Clock;
}

/** One transaction, for the work in it. */
export interface Work<T> {
  readonly store: IDBObjectStore;
  /** Runs `next` with the result of `request`. An exception in `next` undoes the transaction. */
  readonly after: <R>(request: IDBRequest<R>, next: (result: R) => void) => void;
  /** Sets the result of the transaction, given once it is complete. */
  readonly give: (result: T) => void;
  /**
   * Ends the transaction: it needs nothing more of this tab. One that waits for a tab that is suspended holds up all others
   * for a minute.
   */
  readonly commit: () => void;
}

/** Whether `error` says that the browser closed the connection under an opening, or a transaction that nobody has aborted. */
function isAbort(error: unknown): boolean {
  return (error as { readonly name?: unknown } | null)?.name === 'AbortError';
}

/**
 * A database with one object store, opened at first use and again whenever the connection was lost.
 *
 * It never blocks others: when another tab wants to upgrade or delete the database, it closes its connection.
 */
export class Database {
  readonly #options: DatabaseOptions;
  #connection: IDBDatabase | undefined;
  #opening: Promise<IDBDatabase> | undefined;
  /** Monotonic milliseconds. */
  #openingSince = 0;
  #closed = false;

  constructor(options: DatabaseOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` in one transaction, and resolves with its result once everything is stored. If anything fails, nothing is.
   * `work` is run again if the browser closes the connection under it.
   */
  async transact<T>(mode: IDBTransactionMode, work: (work: Work<T>) => void): Promise<T> {
    try {
      return await this.#run(mode, work);
    } catch (error) {
      if (!isAbort(error)) throw storageError('IndexedDB', error);
    }
    try {
      return await this.#run(mode, work);
    } catch (error) {
      throw isAbort(error) ? this.#closedAgain(error) : storageError('IndexedDB', error);
    }
  }

  async #run<T>(mode: IDBTransactionMode, work: (work: Work<T>) => void): Promise<T> {
    const transaction = await this.#begin(mode);
    const { db: connection } = transaction;
    return new Promise<T>((resolve, reject) => {
      let given: T | undefined;
      let failure: { readonly error: unknown } | undefined;
      const attempt = (run: () => void): void => {
        try {
          run();
        } catch (error) {
          failure ??= { error };
          transaction.abort();
        }
      };
      const end = new AbortController();
      const on = (target: EventTarget, event: string, listener: (event: Event) => void): void =>
        target.addEventListener(event, listener, { signal: end.signal });
      const closed = (): void => {
        end.abort();
        this.#lost(connection);
        reject(new DOMException('The browser closed the IndexedDB database', 'AbortError'));
      };
      on(connection, 'close', closed);
      // Chromium may end a transaction under which it closes the connection with this alone.
      on(transaction, 'error', ({ target }) => {
        if (failure === undefined && transaction.error === null && isAbort((target as IDBRequest).error)) closed();
      });
      on(transaction, 'complete', () => {
        end.abort();
        resolve(given as T);
      });
      on(transaction, 'abort', () => {
        const error = failure === undefined ? transaction.error : failure.error;
        if (failure === undefined && isAbort(error)) return closed();
        end.abort();
        reject(error);
      });
      attempt(() =>
        work({
          store: transaction.objectStore(this.#options.store),
          after: (request, next) => {
            request.addEventListener('success', () => attempt(() => next(request.result)));
          },
          give: (result) => {
            given = result;
          },
          // Safari has it since 15.
          commit: () => transaction.commit?.(),
        }),
      );
    });
  }

  /** Closes the database once the transactions under way are done. Later calls fail. */
  close(): void {
    this.#closed = true;
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #begin(mode: IDBTransactionMode): Promise<IDBTransaction> {
    const { store, durability } = this.#options;
    const connection = await this.#connected();
    try {
      return connection.transaction(store, mode, { durability });
    } catch (error) {
      // The browser closed the connection before the transaction began.
      if ((error as { readonly name?: unknown }).name !== 'InvalidStateError') throw error;
      this.#lost(connection);
      return (await this.#connected()).transaction(store, mode, { durability });
    }
  }

  async #connected(): Promise<IDBDatabase> {
    const { name } = this.#options;
    if (this.#closed)
      throw new SoloflightError('SOLOFLIGHT_DATABASE_CLOSED', `The IndexedDB database '${name}' was closed`);
    if (this.#connection !== undefined) return this.#connection;
    const { clock, hangsAfter } = this.#options;
    if (this.#opening === undefined) this.#openingSince = clock.monotonic();
    else if (clock.monotonic() - this.#openingSince >= hangsAfter) throw this.#blocked(hangsAfter);
    return this.#inTime((this.#opening ??= this.#open()));
  }

  async #open(): Promise<IDBDatabase> {
    try {
      const connection = await openDatabase(this.#options);
      connection.addEventListener('versionchange', () => this.#lost(connection));
      if (this.#closed) connection.close();
      else this.#connection = connection;
      return connection;
    } finally {
      this.#opening = undefined;
    }
  }

  /** An opening that takes too long goes on, and serves the calls that come after it is over. */
  #inTime(opening: Promise<IDBDatabase>): Promise<IDBDatabase> {
    const { openTimeout, clock } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(openTimeout, () => reject(this.#blocked(openTimeout)));
      void opening.then(resolve, reject).then(cancel);
    });
  }

  #closedAgain(cause: unknown): SoloflightError {
    const message = `The browser closed the IndexedDB database '${this.#options.name}' under a transaction, and once more when it was repeated`;
    return new SoloflightError('SOLOFLIGHT_STORAGE_UNAVAILABLE', message, { cause });
  }

  #blocked(ms: number): SoloflightError {
    return new SoloflightError(
      'SOLOFLIGHT_DATABASE_BLOCKED',
      `The IndexedDB database '${this.#options.name}' could not be opened within ${ms} ms. Another tab may hold an older version of it open: close or reload that tab. Later calls fail at once until it opens`,
    );
  }

  #lost(connection: IDBDatabase): void {
    connection.close();
    if (this.#connection === connection) this.#connection = undefined;
  }
}
