import type { MaybePromise } from '../contracts.js';

/** Longer names are hashed. With a namespace before them, names must fit into 250 bytes. */
const LONGEST = 180;

/**
 * The name for `key` in storages that limit keys, with nothing that one of them changes: lower-case letters, digits, `-`, `_`.
 *
 * No two keys have the same name, even where a storage ignores case, trailing spaces or the form of accents, or
 * normalises separators. A name begins with `k`, or with `h` if it is a SHA-256 because it would be too long.
 */
export function toName(key: string): MaybePromise<string> {
  // Hashing a key that is too long in any case saves the replacement.
  if (key.length >= LONGEST) return hashed(key);
  const name = namePrefix(key);
  return name.length <= LONGEST ? name : hashed(key);
}

/** What names of keys begin with that begin with `prefix`, as far as they are not hashed. */
export function namePrefix(prefix: string): string {
  return `k${prefix.replaceAll(/[^a-z0-9-]/g, escapeUnit)}`;
}

/** The key that has `name`; `undefined` if that is a hash. */
export function fromName(name: string): string | undefined {
  if (!name.startsWith('k')) return undefined;
  return name
    .slice(1)
    .replaceAll(/_(?:u([0-9a-f]{4})|([0-9a-f]{2}))/g, (_all, long?: string, short?: string) =>
      String.fromCharCode(Number.parseInt(long ?? short ?? '', 16)),
    );
}

/** `_hh` for the first 256 code units, `_uhhhh` for the others. `u` is no hex digit, so the two forms can't be confused. */
function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  return code < 256 ? `_${hex(code, 2)}` : `_u${hex(code, 4)}`;
}

/** Hashes UTF-16 code units, since lone surrogates have no UTF-8. */
async function hashed(key: string): Promise<string> {
  const units = new DataView(new ArrayBuffer(key.length * 2));
  for (let index = 0; index < key.length; index += 1) units.setUint16(index * 2, key.charCodeAt(index));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', units));
  return `h${Array.from(digest, (byte) => hex(byte, 2)).join('')}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
