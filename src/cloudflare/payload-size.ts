import { SoloflightError } from '../errors.js';
import type { SqliteValue } from '../storage/sqlite-database.js';

/**
 * The most bytes of an encoded value.
 *
 * Just below the 32 MiB of one RPC message, so that every stored value can be sent.
 */
const LARGEST_VALUE = 32_000_000;

/** Returns `row` if its last value, the payload, can be stored. @throws SoloflightError with code `SOLOFLIGHT_VALUE_TOO_LARGE`. */
export function checkPayload(key: string, row: SqliteValue[]): SqliteValue[] {
  const size = sizeOf(row.at(-1) ?? null);
  if (size <= LARGEST_VALUE) return row;
  throw new SoloflightError(
    'SOLOFLIGHT_VALUE_TOO_LARGE',
    `The value of '${key.slice(0, 80)}' takes ${size} bytes, and a Durable Object stores no more than ${LARGEST_VALUE} (32 MB) of one. Keep it elsewhere (R2) and cache where it is, or compress it: \`codec: gzip(structuredCloneCodec)\``,
    { key },
  );
}

function sizeOf(payload: SqliteValue): number {
  if (payload instanceof Uint8Array) return payload.length;
  if (typeof payload !== 'string') return 0;
  // Every unit takes between one byte and three, so most texts need no counting.
  return payload.length * 3 <= LARGEST_VALUE ? payload.length : new TextEncoder().encode(payload).length;
}
