import { systemClock } from '../base/clock.js';
import { prepare, type SqliteDatabase, type SqliteStatement } from './sqlite-database.js';

/** The owner of a queue, in a table of one row. */
export class SqliteQueueOwner {
  readonly #take: SqliteStatement;
  readonly #check: SqliteStatement;
  readonly #renew: SqliteStatement;
  readonly #release: SqliteStatement;

  /** Makes the table. `queue` must be a checked identifier. */
  constructor(database: SqliteDatabase, queue: string) {
    const table = `"${queue}_owner"`;
    database.exec(
      `CREATE TABLE IF NOT EXISTS ${table} (one INTEGER NOT NULL PRIMARY KEY, owner TEXT NOT NULL, ends REAL NOT NULL)`,
    );
    // A lease that ends later than any can was taken before the clock was set back.
    this.#take = prepare(
      database,
      `INSERT INTO ${table} (one, owner, ends) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE
      SET owner = excluded.owner, ends = excluded.ends WHERE owner = excluded.owner OR ends <= ? OR ends > ? OR ?`,
    );
    // An update, so that no other connection can change the row until the end of the transaction.
    this.#check = prepare(database, `UPDATE ${table} SET owner = owner WHERE owner = ?`);
    this.#renew = prepare(database, `UPDATE ${table} SET ends = ? WHERE owner = ?`);
    this.#release = prepare(database, `DELETE FROM ${table} WHERE owner = ?`);
  }

  /** Makes `owner` the owner for `ms` milliseconds, and tells whether it is. */
  take(owner: string, ms: number, takeOver: boolean): boolean {
    const now = systemClock.now();
    return isDone(this.#take.run(owner, now + ms, now, now + 2 * ms, takeOver ? 1 : 0));
  }

  /** Whether `owner` is the owner, and stays it until the end of the transaction. */
  holds(owner: string): boolean {
    return isDone(this.#check.run(owner));
  }

  renew(owner: string, ms: number): boolean {
    return isDone(this.#renew.run(systemClock.now() + ms, owner));
  }

  release(owner: string): void {
    this.#release.run(owner);
  }
}

function isDone({ changes }: { readonly changes: number | bigint }): boolean {
  return Number(changes) > 0;
}
