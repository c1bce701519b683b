import { systemClock } from '../base/clock.js';
import { bucketOf } from '../base/versions.js';
import type { Work } from './database.js';

/**
 * A counter of changes, in the store of the entries.
 *
 * Keys of entries are strings, so numbers are free for these records. Earlier versions of the program neither read nor
 * sweep them.
 */
interface VersionRecord {
  /** A bucket, or {@link CLEARS}. */
  readonly key: number;
  readonly count: number | string;
}

/** The record that `clear` changes. */
const CLEARS = -1;

/** Begins the versions of an empty store: none equals one that was told before it was emptied. */
export function beginVersions(store: IDBObjectStore): void {
  const count = `${systemClock.now()}-${systemClock.random()}`;
  store.put({ key: CLEARS, count } satisfies VersionRecord);
}

/** Alters the version of each of `keys`, in the transaction of `work`. */
export function alterVersions({ store, after }: Work<never>, keys: readonly string[]): void {
  for (const key of new Set(keys.map(bucketOf)))
    after(store.get(key), (record: unknown) => {
      const count = Number(countIn(record)) + 1;
      store.put({ key, count } satisfies VersionRecord);
    });
}

/** Runs `next` with the version of `key`, in the transaction of `work`. */
export function readVersion({ store, after }: Work<never>, key: string, next: (version: string) => void): void {
  after(store.get(CLEARS), (clears: unknown) => {
    after(store.get(bucketOf(key)), (changes: unknown) => next(`${countIn(clears)}.${countIn(changes)}`));
  });
}

function countIn(record: unknown): number | string {
  return (record as VersionRecord | undefined)?.count ?? 0;
}
