import type { Note } from './script.js';
import { script } from './script.js';

/** The main database of the objects that take writes, as a test sees it. */
export interface MainDatabase {
  /** Each batch as keys and values, in order. */
  readonly batches: (readonly [key: string, value: Note | undefined])[][];
  /** Ids of the writes that were taken. */
  readonly ids: string[];
  /** What the sink does first. */
  before: () => void | Promise<void>;
  /** Failures that were reported. */
  readonly errors: string[];
}

/** A new main database, which is the sink from now on. */
export function openMainDatabase(): MainDatabase {
  const database: MainDatabase = { batches: [], ids: [], before: () => {}, errors: [] };
  script.writes = {
    sink: async (writes) => {
      await database.before();
      database.batches.push(writes.map(({ key, value }) => [key, value]));
      database.ids.push(...writes.map(({ id }) => id));
    },
    onError: (error) => void database.errors.push(String(error)),
  };
  return database;
}
