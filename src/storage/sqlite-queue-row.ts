import { chain } from '../codecs/chain.js';
import { fromPayload, toPayload, type Payload } from '../codecs/payload.js';
import type { Codec, DeadReason, MaybePromise, QueuedWrite } from '../contracts.js';
import { UndecodableError } from '../errors.js';
import type { SqliteValue } from './sqlite-database.js';
import { fromKey, toKey } from './sqlite-row.js';

/** Version of the format of a row. Rows of another version are neither read nor removed. */
const FORMAT = 1;

/**
 * Columns of a row in the order of {@link toQueueRow}, with their types.
 *
 * `BLOB` affinity stores everything unchanged, text as text. `REAL` holds every integer up to 2^53 exactly, and never
 * comes back as a bigint.
 */
export const QUEUE_COLUMNS: Readonly<Record<string, string>> = {
  id: 'BLOB NOT NULL PRIMARY KEY',
  format: 'INTEGER NOT NULL',
  sequence: 'REAL NOT NULL',
  key: 'BLOB NOT NULL',
  kind: 'TEXT NOT NULL',
  at: 'REAL NOT NULL',
  attempts: 'REAL NOT NULL',
  revision: 'REAL NOT NULL',
  tried_for: 'REAL NOT NULL',
  whole: 'REAL NOT NULL',
  dead_at: 'REAL',
  dead_cause: 'TEXT',
  dead_reason: 'BLOB',
  codec: 'TEXT',
  value: 'BLOB',
};

/** A row as read from the table. */
export interface QueueRow {
  readonly id: string | Uint8Array;
  readonly format: number;
  readonly sequence: number;
  readonly key: string | Uint8Array;
  readonly kind: 'put' | 'delete';
  readonly at: number;
  readonly attempts: number;
  readonly revision: number;
  readonly tried_for: number;
  /** 0 or 1. */
  readonly whole: number;
  /** `null`, like the next two, unless the write is a dead letter. */
  readonly dead_at: number | null;
  readonly dead_cause: DeadReason['cause'] | null;
  readonly dead_reason: string | Uint8Array | null;
  /** Name of the codec, or `null` for a delete. */
  readonly codec: string | null;
  readonly value: string | Uint8Array | null;
}

/** @throws `UnencodableError`, at once or as a rejection. */
export function toQueueRow(write: QueuedWrite, codec: Codec): MaybePromise<SqliteValue[]> {
  const { dead } = write;
  const rowWith = (payload: Payload | null): SqliteValue[] => [
    toKey(write.id),
    FORMAT,
    write.sequence,
    toKey(write.key),
    write.kind,
    write.at,
    write.attempts,
    write.revision,
    write.triedFor,
    write.whole ? 1 : 0,
    dead?.at ?? null,
    dead?.cause ?? null,
    dead === undefined ? null : toKey(dead.reason),
    payload === null ? null : codec.name,
    payload,
  ];
  return write.kind === 'delete' ? rowWith(null) : chain(toPayload(write.key, write.value, codec), rowWith);
}

/** The write in `row`, or the reason why it can't be read. */
export async function fromQueueRow(row: QueueRow, codec: Codec): Promise<QueuedWrite | Error> {
  try {
    const { format, sequence, kind, at, attempts, revision } = row;
    const key = fromKey(row.key);
    if (format !== FORMAT)
      throw new UndecodableError(key, `it has format version ${format}, and only ${FORMAT} is known here`);
    if (kind !== 'put' && kind !== 'delete')
      throw new UndecodableError(key, `its kind is ${String(kind)}, neither put nor delete`);
    if (kind === 'put' && (row.codec === null || row.value === null))
      throw new UndecodableError(key, 'it has no value');
    return {
      ...{ id: fromKey(row.id), sequence, key, kind, at, attempts, revision, triedFor: row.tried_for },
      whole: row.whole !== 0,
      value: kind === 'delete' ? undefined : await fromPayload(key, row.codec as string, row.value as Payload, codec),
      dead: deadOf(row),
    };
  } catch (error) {
    return error instanceof Error ? error : new UndecodableError('', String(error));
  }
}

function deadOf({ dead_at, dead_cause, dead_reason }: QueueRow): DeadReason | undefined {
  if (dead_at === null) return undefined;
  return { at: dead_at, cause: dead_cause ?? 'rejected', reason: dead_reason === null ? '' : fromKey(dead_reason) };
}
