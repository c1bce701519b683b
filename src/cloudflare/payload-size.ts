import { SoloflightError } from '../errors.js';
import type { SqliteValue } from '../storage/sqlite-database.js';

/**
 * Bytes that a value may take once encoded.
 *
 * Just below the 32 MiB of one RPC message, so that what can be stored can also be answered.
 */
const LARGEST_VALUE = 32_000_000;

/** `row`, whose last value is a payload that can be stored. @throws SoloflightError with code `SOLOFLIGHT_VALUE_TOO_LARGE`. */
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
  // Every unit takes one byte at least and three at most: most texts need no counting.
  return payload.length * 3 <= LARGEST_VALUE ? payload.length : new TextEncoder().encode(payload).length;
}
