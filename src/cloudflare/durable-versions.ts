import { bucketOf } from '../base/versions.js';
import { isMissingTable } from './missing-table.js';

/** The bucket that stands for all of them. */
const CLEARS = -1;

/** Leaves room for many changes among the integers that are numbers here. */
const LARGEST_START = 2 ** 52 - 1;

/**
 * Versions of keys in the SQLite of an object: a row for each bucket of keys that something was changed in.
 *
 * The table is made by the first change. What a load stores is none, so an object that only loads writes no row here.
 */
export class DurableVersions {
  readonly #storage: DurableObjectStorage;
  readonly #table: string;
  readonly #version: string;
  /** Whether the table was seen since it was last found missing. */
  #isThere = false;
  /** How often the table went away. No version of before may come back with it. */
  #losses = 0;

  /** `name` must be a checked identifier. */
  constructor(storage: DurableObjectStorage, name: string) {
    this.#storage = storage;
    this.#table = `"${name}_versions"`;
    const countOf = (bucket: string): string =>
      `coalesce((SELECT count FROM ${this.#table} WHERE bucket = ${bucket}), 0)`;
    this.#version = `SELECT ${countOf(`${CLEARS}`)} || '.' || ${countOf('?')} AS version`;
  }

  of(key: string): string {
    try {
      const { version } = this.#storage.sql.exec<{ version: string }>(this.#version, bucketOf(key)).one();
      this.#isThere = true;
      return version;
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      if (this.#isThere) this.#losses += 1;
      this.#isThere = false;
      return `none.${this.#losses}`;
    }
  }

  /** Alters the versions of `keys`. Must come before the change in one turn: the platform stores both or none. */
  alter(keys: readonly string[]): void {
    for (const bucket of new Set(keys.map(bucketOf))) this.#alter(bucket);
  }

  alterAll(): void {
    this.#alter(CLEARS);
  }

  #alter(bucket: number): void {
    const { sql } = this.#storage;
    try {
      sql.exec(`INSERT INTO ${this.#table} VALUES (?, 1) ON CONFLICT (bucket) DO UPDATE SET count = count + 1`, bucket);
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      sql.exec(`CREATE TABLE ${this.#table} (bucket INTEGER PRIMARY KEY, count INTEGER NOT NULL)`);
      // Begins by chance, and so alters all versions: none equals one of a table that went away.
      sql.exec(`INSERT INTO ${this.#table} VALUES (${CLEARS}, random() & ${LARGEST_START})`);
    }
  }
}
