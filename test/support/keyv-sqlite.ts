import { DatabaseSync } from 'node:sqlite';

/** A backend for Keyv in a SQLite file. Like Keyv's own backends, it is asynchronous and keeps one text per key. */
export class KeyvSqlite {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec('CREATE TABLE IF NOT EXISTS keyv (key VARCHAR(255) PRIMARY KEY COLLATE NOCASE, value TEXT)');
  }

  async get(key: string): Promise<unknown> {
    return this.#database.prepare('SELECT value FROM keyv WHERE key = ?').get(key)?.['value'];
  }

  async set(key: string, value: string): Promise<boolean> {
    if (key.length > 255) throw new RangeError('value too long for type character varying(255)');
    this.#database.prepare('INSERT OR REPLACE INTO keyv VALUES (?, ?)').run(key, value);
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return this.#database.prepare('DELETE FROM keyv WHERE key = ?').run(key).changes > 0;
  }

  async clear(): Promise<void> {
    this.#database.exec('DELETE FROM keyv');
  }

  async disconnect(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }
}
