import { isMissingTable } from './missing-table.js';

/** The due time of an alarm, and the number of attempts since it was set. */
export interface AlarmRow {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly due: number;
  readonly attempts: number;
}

const TABLE = '"soloflight_alarms"';

/** The alarms of an object in its SQLite. The table is made by the first alarm; without it there are none. */
export class AlarmTable {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  get(name: string): AlarmRow | undefined {
    return this.#query('SELECT name, due, attempts FROM $ WHERE name = ?', name)[0];
  }

  dueBy(now: number): AlarmRow[] {
    return this.#query('SELECT name, due, attempts FROM $ WHERE due <= ? ORDER BY due', now);
  }

  earliest(): number | undefined {
    return this.#query('SELECT name, due, attempts FROM $ ORDER BY due LIMIT 1')[0]?.due;
  }

  /** Sets a new alarm, or an existing one anew. */
  set(name: string, due: number): void {
    const set = (): unknown =>
      this.#exec(
        'INSERT INTO $ (name, due, attempts) VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE SET due = excluded.due, attempts = 0',
        name,
        due,
      );
    try {
      set();
    } catch (error) {
      if (!isMissingTable(error)) throw error;
      this.#exec('CREATE TABLE IF NOT EXISTS $ (name TEXT PRIMARY KEY, due REAL NOT NULL, attempts INTEGER NOT NULL)');
      set();
    }
  }

  /** Counts another attempt, to be repeated at `due` unless it is finished before. */
  claim({ name, attempts }: AlarmRow, due: number): AlarmRow {
    this.#query('UPDATE $ SET due = ?, attempts = ? WHERE name = ?', due, attempts + 1, name);
    return { name, due, attempts: attempts + 1 };
  }

  /** Removes the alarm, unless its handler has set it anew. */
  finish({ name, attempts }: AlarmRow): void {
    this.#query('DELETE FROM $ WHERE name = ? AND attempts = ?', name, attempts);
  }

  /** Makes a failed attempt repeat at `due`, even if its handler has set the alarm anew for later. */
  fail({ name, attempts }: AlarmRow, due: number): void {
    this.#query(
      'UPDATE $ SET due = CASE attempts WHEN 0 THEN min(due, ?) ELSE ? END, attempts = ? WHERE name = ? AND attempts IN (0, ?)',
      ...[due, due, attempts, name, attempts],
    );
  }

  delete(name: string): boolean {
    return this.#query('DELETE FROM $ WHERE name = ? RETURNING name, due, attempts', name).length > 0;
  }

  #query(statement: string, ...values: unknown[]): AlarmRow[] {
    try {
      return this.#exec(statement, ...values) as unknown as AlarmRow[];
    } catch (error) {
      if (isMissingTable(error)) return [];
      throw error;
    }
  }

  #exec(statement: string, ...values: unknown[]): Record<string, SqlStorageValue>[] {
    return this.#storage.sql.exec(statement.replace('$', TABLE), ...values).toArray();
  }
}
