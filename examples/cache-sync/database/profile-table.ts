import { DatabaseSync } from 'node:sqlite';

import { covers, FIELDS, type FieldName, type Profile } from '../profile.ts';

/** A write as an object delivers it. */
export interface Delivery {
  /** The same in every attempt. */
  readonly id: string;
  readonly key: string;
  readonly value: Profile;
}

/** What became of a write. */
export type Outcome = 'ok' | { readonly conflict: Profile } | { readonly reject: string };

const PEOPLE: readonly (readonly [id: string, name: string, mail: string])[] = [
  ['ada', 'Ada Lovelace', 'ada@example.org'],
  ['grace', 'Grace Hopper', 'grace@example.org'],
  ['edsger', 'Edsger Dijkstra', 'edsger@example.org'],
  ['barbara', 'Barbara Liskov', 'barbara@example.org'],
];

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS profile (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS delivery (id TEXT PRIMARY KEY) STRICT;`;

/** The source of truth, in an SQLite file. */
export class ProfileTable {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(SCHEMA);
    for (const [id, name, mail] of PEOPLE) this.add(id, name, mail);
  }

  /** Adds a profile, unless there is one already. */
  add(id: string, name: string, mail: string): void {
    const insert = this.#database.prepare('INSERT INTO profile VALUES (?, ?) ON CONFLICT DO NOTHING');
    insert.run(id, JSON.stringify(beginningOf(name, mail)));
  }

  ids(): string[] {
    return this.#database
      .prepare('SELECT id FROM profile ORDER BY rowid')
      .all()
      .map(({ id }) => id as string);
  }

  get(id: string): Profile | undefined {
    const row = this.#database.prepare('SELECT value FROM profile WHERE id = ?').get(id);
    return row === undefined ? undefined : (JSON.parse(row['value'] as string) as Profile);
  }

  /** Takes a batch, each write once however often it is delivered. */
  take(deliveries: readonly Delivery[]): Outcome[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = deliveries.map((delivery) => this.#take(delivery));
      this.#database.exec('COMMIT');
      return outcomes;
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** An edit that comes past all objects, as somebody's script would make it. */
  edit(id: string, name: FieldName, value: string): Profile | undefined {
    const before = this.get(id);
    if (before === undefined) return undefined;
    const profile = { ...before, [name]: { value, at: Math.max(Date.now(), before[name].at + 1), by: 'elsewhere' } };
    this.#put(id, profile);
    return profile;
  }

  close(): void {
    this.#database.close();
  }

  #take({ id, key, value }: Delivery): Outcome {
    const stored = this.get(key);
    if (stored === undefined) return { reject: `There is no profile '${key}'` };
    // Taken before: the answer got lost.
    if (this.#database.prepare('SELECT 1 FROM delivery WHERE id = ?').get(id) !== undefined) return 'ok';
    if (!covers(value, stored)) return { conflict: stored };
    this.#put(key, value);
    this.#database.prepare('INSERT INTO delivery VALUES (?)').run(id);
    return 'ok';
  }

  #put(id: string, profile: Profile): void {
    this.#database.prepare('UPDATE profile SET value = ? WHERE id = ?').run(JSON.stringify(profile), id);
  }
}

function beginningOf(name: string, mail: string): Profile {
  const values: Record<FieldName, string> = { name, mail };
  const [first, second] = FIELDS.map((field) => ({ value: values[field], at: 0, by: 'the beginning' }));
  return { name: first!, mail: second! };
}
