import type { KeyPage, KeyRange } from '../contracts.js';
import type { SqliteValue } from './sqlite-database.js';
import { fromKey, toBlob, toKey } from './sqlite-row.js';

/** SQL for keys of a quoted table: one to begin with, a number. Texts come in the order of their UTF-8, then blobs in that of their bytes. */
export function keysFrom(table: string): string {
  return `SELECT key FROM ${table} WHERE key >= ? ORDER BY key LIMIT ?`;
}

/** No key is an empty blob. Node 22.13 binds one as NULL, which nothing is compared with. */
const FIRST_BLOB = new Uint8Array(1);

/** Reads by {@link keysFrom}. */
type Read = (start: SqliteValue, limit: number) => readonly (string | Uint8Array)[];

/** A page of the keys in `range`: of those stored as texts, then of those stored as blobs. Those with one prefix lie side by side. */
export function keysIn(read: Read, range: KeyRange): KeyPage {
  const { prefix, cursor } = range;
  const texts =
    cursor === undefined || typeof toKey(cursor) === 'string' ? pageOf(read, textBefore(prefix), range) : undefined;
  if (texts?.cursor !== undefined) return texts;
  const blobs = pageOf(read, prefix === '' ? FIRST_BLOB : toBlob(prefix), range);
  return texts === undefined ? blobs : { ...blobs, keys: [...texts.keys, ...blobs.keys] };
}

/** A page of the keys stored as `least` is. */
function pageOf(read: Read, least: string | Uint8Array, { prefix, limit, cursor }: KeyRange): KeyPage {
  const last = cursor === undefined ? undefined : toKey(cursor);
  const hasBegun = typeof last === typeof least;
  const keys: string[] = [];
  let seen: string | undefined;
  // One more, since the first is the one that the page before ended with.
  const rows = read(hasBegun ? last! : least, limit + 1);
  for (const row of rows) {
    if (typeof row !== typeof least) return { keys };
    seen = fromKey(row);
    if (!seen.startsWith(typeof least === 'string' ? least : prefix)) return { keys };
    if (seen !== cursor && seen.startsWith(prefix)) keys.push(seen);
  }
  return rows.length > limit ? { keys, cursor: seen } : { keys };
}

/** What a text begins with that begins with `prefix`: no text holds a NUL or half a character, but `prefix` may end within one. */
function textBefore(prefix: string): string {
  return /^[^\0\p{Surrogate}]*/u.exec(prefix)?.[0] ?? '';
}
