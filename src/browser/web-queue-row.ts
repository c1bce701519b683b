import { fromBase64, toBase64 } from '../codecs/base64.js';
import { chain } from '../codecs/chain.js';
import { fromPayload, toPayload, type Payload } from '../codecs/payload.js';
import type { Codec, MaybePromise, QueuedWrite } from '../contracts.js';
import { UndecodableError } from '../errors.js';
import { isQueuedWrite } from '../writes/queued-write.js';

/**
 * Version of the format: `soloflight-write/<version> `, the write without its value, as JSON without line feeds, a line
 * feed, and the value as its codec made it.
 */
const VERSION = 1;
const ROW = /^soloflight-write\/(\d+) ([^\n]*)\n/;

interface Header {
  readonly write: Omit<QueuedWrite, 'value'>;
  /** Name of the codec; `undefined` for a delete. */
  readonly codec?: string;
  readonly base64?: true;
}

/** @throws `UnencodableError`, at once or as a rejection. */
export function writeQueueRow(write: QueuedWrite, codec: Codec): MaybePromise<string> {
  const { value, ...others } = write;
  const rowWith = (header: Header, payload: string): string =>
    `soloflight-write/${VERSION} ${JSON.stringify(header)}\n${payload}`;
  if (write.kind === 'delete') return rowWith({ write: others }, '');
  return chain(toPayload(write.key, value, codec), (payload) =>
    typeof payload === 'string'
      ? rowWith({ write: others, codec: codec.name }, payload)
      : rowWith({ write: others, codec: codec.name, base64: true }, toBase64(payload)),
  );
}

/** Whether `row` holds a dead letter; `false` for a row that can't be read. */
export function isDeadRow(row: string): boolean {
  return headerOf(row)?.write.dead !== undefined;
}

/** The write in `row`, or the reason why it can't be read. Never throws or rejects. */
export async function readQueueRow(id: string, row: string, codec: Codec): Promise<QueuedWrite | Error> {
  try {
    const version = ROW.exec(row)?.[1];
    if (version === undefined) throw new UndecodableError(id, 'it was not written by soloflight');
    if (version !== String(VERSION))
      throw new UndecodableError(id, `it has format version ${version}, and only ${VERSION} is known here`);
    const header = headerOf(row);
    if (header === undefined || header.write.id !== id) throw new UndecodableError(id, 'it is no write');
    const { write, codec: writtenBy, base64 } = header;
    if (write.kind === 'delete') return { ...write, dead: write.dead, value: undefined };
    if (writtenBy === undefined) throw new UndecodableError(id, 'it has no value');
    const text = row.slice(row.indexOf('\n') + 1);
    const payload: Payload = base64 === true ? fromBase64(text) : text;
    return { ...write, dead: write.dead, value: await fromPayload(id, writtenBy, payload, codec) };
  } catch (error) {
    return error instanceof Error ? error : new UndecodableError(id, String(error));
  }
}

function headerOf(row: string): Header | undefined {
  const [, version, json] = ROW.exec(row) ?? [];
  if (version !== String(VERSION) || json === undefined) return undefined;
  try {
    const header = JSON.parse(json) as Header | null;
    return isQueuedWrite(header?.write) ? (header ?? undefined) : undefined;
  } catch {
    return undefined;
  }
}
