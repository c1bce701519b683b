import type { MaybePromise } from '../contracts.js';

/** Longer names are hashed: with a namespace before them, they must fit into 250 bytes. */
const LONGEST = 180;

/**
 * A name for `key` that every storage takes and none changes: lower-case letters, digits, `-` and `_`.
 *
 * No two keys have the same name, not even where case, trailing spaces or the form of accents don't count, or where
 * separators are normalised. Names begin with `k`, or with `h` if they hold a SHA-256 since they would be too long.
 */
export function toName(key: string): MaybePromise<string> {
  // Hashing first what is too long in any case spares the replacement.
  if (key.length >= LONGEST) return hashed(key);
  const name = `k${key.replaceAll(/[^a-z0-9-]/g, escapeUnit)}`;
  return name.length <= LONGEST ? name : hashed(key);
}

/** `_hh` for the first 256 units, `_uhhhh` for the others. No digit is a `u`, so it is clear where each ends. */
function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  return code < 256 ? `_${hex(code, 2)}` : `_u${hex(code, 4)}`;
}

/** Of UTF-16 units, since halves of characters have no UTF-8. */
async function hashed(key: string): Promise<string> {
  const units = new DataView(new ArrayBuffer(key.length * 2));
  for (let index = 0; index < key.length; index += 1) units.setUint16(index * 2, key.charCodeAt(index));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', units));
  return `h${Array.from(digest, (byte) => hex(byte, 2)).join('')}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
