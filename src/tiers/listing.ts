import { checkNames, checkObject } from '../base/checks.js';
import type { KeyPage, KeyRange, KeysOptions } from '../contracts.js';
import { misuse } from '../errors.js';
import type { Namespace } from '../marks/namespace.js';

const MOST = 10_000;
const DEFAULT_LIMIT = 1_000;

/** What a listing is made from. */
export interface Listing {
  readonly space: Namespace;
  /** A page of keys as they are stored. */
  readonly page: (range: KeyRange) => Promise<KeyPage>;
  /** Whether there is an entry for `key` that may be used. */
  readonly isUsable: (key: string) => Promise<boolean>;
}

/** Where a listing goes on. */
interface Place {
  /** The cursor of the tier; `undefined` before its first page, `null` after its last one. */
  readonly at: string | null | undefined;
  /** Keys that were told beyond the limit. */
  readonly left: readonly string[];
}

/** A page of the keys of one namespace. Goes on until it has found one. */
export async function listed({ space, page, isUsable }: Listing, options: KeysOptions): Promise<KeyPage> {
  const { prefix, limit, place } = resolved(options);
  let { at, left } = place;
  for (;;) {
    const candidates = left.slice(0, limit);
    left = left.slice(limit);
    const usable = await Promise.all(candidates.map(isUsable));
    const keys = candidates.filter((_key, index) => usable[index]);
    const isLast = at === null && left.length === 0;
    if (isLast || keys.length > 0) return { keys, cursor: isLast ? undefined : JSON.stringify([at ?? null, ...left]) };
    if (left.length > 0) continue;
    const next: KeyPage = await page({ prefix: space.prefixOf(prefix), limit, cursor: at ?? undefined });
    at = next.cursor ?? null;
    const known = next.keys.map((key) => space.keyAt(key)).filter((key) => key !== undefined);
    left = [...new Set(known.filter((key) => key.startsWith(prefix)))];
  }
}

function resolved(options: KeysOptions): { prefix: string; limit: number; place: Place } {
  checkObject('options', options);
  checkNames(options, ['prefix', 'limit', 'cursor']);
  const { prefix = '', limit = DEFAULT_LIMIT, cursor } = options;
  if (typeof prefix !== 'string') throw misuse('prefix', 'a string', prefix);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST)
    throw misuse('limit', `an integer from 1 to ${MOST}`, limit);
  return { prefix, limit, place: placeOf(cursor) };
}

function placeOf(cursor: string | undefined): Place {
  if (cursor === undefined) return { at: undefined, left: [] };
  try {
    const [at, ...left] = JSON.parse(cursor) as [string | null, ...string[]];
    const isText = (part: unknown): boolean => typeof part === 'string';
    if ((at === null || isText(at)) && left.every(isText)) return { at, left };
  } catch {
    // Said below.
  }
  throw misuse('cursor', 'the cursor of a page', cursor);
}
