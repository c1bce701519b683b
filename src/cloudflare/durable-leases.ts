import { systemClock } from '../base/clock.js';
import { toKey } from '../storage/sqlite-row.js';
import { isMissingTable } from './missing-table.js';

/** Stands for a lease whose load has just ended without an entry. Tokens are longer. */
const OPEN = 'open';
/** How long all who ask are told so: longer than the pause between two questions, milliseconds. */
const OPEN_FOR = 500;

/** Leases on keys in the SQLite of an object, the one place where all callers meet. */
export class DurableLeases {
  readonly #storage: DurableObjectStorage;
  readonly #table: string;

  /** `name` must be a checked identifier. */
  constructor(storage: DurableObjectStorage, name: string) {
    this.#storage = storage;
    this.#table = `"${name}_leases"`;
  }

  /** Takes a lease on `key` and returns its token, or tells that there is one already, or that one has just ended without an entry. */
  take(key: string, ms: number): { readonly token: string } | 'held' | 'open' {
    const now = systemClock.now();
    const token = crypto.randomUUID();
    const [taken] = this.#write(
      `INSERT INTO $ (key, token, until) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until WHERE until <= ? RETURNING token`,
      ...[toKey(key), token, now + ms, now],
    );
    if (taken !== undefined) return { token };
    const [there] = this.#exec('SELECT token FROM $ WHERE key = ?', toKey(key));
    return there?.['token'] === OPEN ? 'open' : 'held';
  }

  renew(key: string, token: string, ms: number): boolean {
    const now = systemClock.now();
    const statement = 'UPDATE $ SET until = ? WHERE key = ? AND token = ? AND until > ? RETURNING token';
    return this.#change(statement, now + ms, toKey(key), token, now).length > 0;
  }

  /** Ends the lease of `token` on `key`, and lets all who ask in the next moment know. */
  open(key: string, token: string): void {
    const now = systemClock.now();
    // What was told before of other keys has no other end.
    this.#change('DELETE FROM $ WHERE until <= ?', now);
    this.#change(
      'UPDATE $ SET token = ?, until = ? WHERE key = ? AND token = ?',
      OPEN,
      now + OPEN_FOR,
      toKey(key),
      token,
    );
  }

  /** Ends the lease of `token` on `key`, and tells whether it was still valid. */
  finish(key: string, token: string): boolean {
    const [ended] = this.#change('DELETE FROM $ WHERE key = ? AND token = ? RETURNING until', toKey(key), token);
    return ended !== undefined && (ended['until'] as number) > systemClock.now();
  }

  /** Ends the lease on `key`, whoever holds it. Takes the key in its stored form. */
  void(key: unknown): void {
    this.#change('DELETE FROM $ WHERE key = ?', key);
  }

  voidAll(): void {
    this.#change('DELETE FROM $');
  }

  /** Without a table there is nothing to change. */
  #change(statement: string, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    try {
      return this.#exec(statement, ...values);
    } catch (error) {
      if (isMissingTable(error)) return [];
      throw error;
    }
  }

  #write(statement: string, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    try {
      return this.#exec(statement, ...values);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      this.#exec(
        'CREATE TABLE IF NOT EXISTS $ (key BLOB NOT NULL PRIMARY KEY, token TEXT NOT NULL, until REAL NOT NULL)',
      );
      return this.#exec(statement, ...values);
    }
  }

  #exec(statement: string, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    return this.#storage.sql.exec(statement.replace('$', this.#table), ...values).toArray();
  }
}
