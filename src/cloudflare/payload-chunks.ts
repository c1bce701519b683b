import { UndecodableError } from '../errors.js';
import type { SqliteValue } from '../storage/sqlite-database.js';

/** Bytes of a payload per row. The platform takes 2 MB, key and metadata included. */
const CHUNK = 1_000_000;

/** The most bytes of a UTF-16 unit in UTF-8. */
const WIDEST_UNIT = 3;

/** A payload too long for one row. */
export interface LongPayload {
  readonly kind: 'text' | 'bytes';
  readonly bytes: Uint8Array;
}

/** `payload`, if it is too long for one row. */
export function longPayload(payload: SqliteValue): LongPayload | undefined {
  if (payload instanceof Uint8Array) return payload.length > CHUNK ? { kind: 'bytes', bytes: payload } : undefined;
  if (typeof payload !== 'string' || payload.length * WIDEST_UNIT <= CHUNK) return undefined;
  return { kind: 'text', bytes: new TextEncoder().encode(payload) };
}

/** Calls `add` with each part of `payload`. */
export function eachChunk({ bytes }: LongPayload, add: (part: number, bytes: Uint8Array) => void): void {
  for (let at = 0, part = 0; at < bytes.length; at += CHUNK, part += 1) add(part, bytes.slice(at, at + CHUNK));
}

/** The payload of `size` bytes, joined from `chunks`. @throws {@link UndecodableError} if some are missing. */
export function assembled(
  key: string,
  kind: LongPayload['kind'],
  size: number,
  chunks: readonly Uint8Array[],
): string | Uint8Array {
  const found = chunks.reduce((sum, { length }) => sum + length, 0);
  if (found !== size) throw new UndecodableError(key, `${found} of its ${size} bytes are stored`);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return kind === 'text' ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) : bytes;
}

/** A value from SQLite in the form that codecs take. */
export function fromSql(value: SqlStorageValue | undefined): string | Uint8Array | null {
  if (typeof value === 'string') return value;
  return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}
