import type { SqliteStatement } from './sqlite-database.js';

/** The most rows removed per write, so that no write pays for the excess of many others. */
const BATCH = 256;

/**
 * Keeps a table within `maxEntries` rows.
 *
 * Counting takes a pass over an index. A table with room for n entries is therefore counted every n/8 writes, which costs
 * each write about eight rows' worth, and is trimmed far enough to stay within bounds until the next count. Other
 * processes' writes are noticed only at a count.
 */
export class EntryBound {
  readonly #target: number;
  readonly #interval: number;
  #writesUntilCount = 0;
  /** Known surplus rows that are not yet removed. */
  #excess = 0;

  constructor(maxEntries: number) {
    this.#interval = Math.max(1, Math.floor(maxEntries / 8));
    this.#target = maxEntries - (this.#interval - 1);
  }

  /** Called after `writes` writes. `count` gives the number of rows as `rows`; `trim` removes that many, outlived soonest first. */
  enforce(writes: number, count: SqliteStatement, trim: SqliteStatement): void {
    this.#writesUntilCount -= writes;
    try {
      if (this.#excess === 0) {
        if (this.#writesUntilCount > 0) return;
        const { rows } = count.get() as { readonly rows: number };
        this.#excess = Math.max(0, rows - this.#target);
        this.#writesUntilCount = this.#interval;
      }
      if (this.#excess === 0) return;
      const removed = Number(trim.run(Math.min(this.#excess, BATCH * writes)).changes);
      this.#excess = removed === 0 ? 0 : Math.max(0, this.#excess - removed);
    } catch {
      // The write itself succeeded; the next one tries again.
      this.#excess = 0;
      this.#writesUntilCount = 0;
    }
  }
}
