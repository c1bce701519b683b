import { chain } from '../codecs/chain.js';
import { fromPayload, toPayload, type Payload } from '../codecs/payload.js';
import type { Codec, MaybePromise, QueuedWrite } from '../contracts.js';
import { UndecodableError } from '../errors.js';
import { globalBuffer, textOf, toBuffer } from './client.js';
import { toWord } from './names.js';

/** Version of the format of a record. Those of another version are neither read nor removed. */
const FORMAT = 1;
const LINE_FEED = 10;

/** All of a write but its value, as one line of JSON before the value. */
interface Head extends Omit<QueuedWrite, 'value' | 'dead'> {
  readonly format: number;
  readonly dead?: QueuedWrite['dead'];
  /** Name of the codec; absent for a delete. */
  readonly codec?: string;
  /** Whether the codec made text. */
  readonly text?: boolean;
}

/** `write` as a value in Redis: its head, a line feed, its encoded value. @throws `UnencodableError` */
export function toRecord(write: QueuedWrite, codec: Codec): MaybePromise<Uint8Array> {
  const { id, sequence, key, kind, at, attempts, revision, triedFor, whole, dead } = write;
  const head = { format: FORMAT, id, sequence, key, kind, at, attempts, revision, triedFor, whole, dead };
  if (kind === 'delete') return recordOf(head, '');
  return chain(toPayload(key, write.value, codec), (payload) =>
    recordOf({ ...head, codec: codec.name, text: typeof payload === 'string' }, payload),
  );
}

/** The write in `record`, kept under `id`, or the reason why it can't be read. */
export async function fromRecord(id: string, record: Uint8Array, codec: Codec): Promise<QueuedWrite | Error> {
  let key = '';
  try {
    const end = record.indexOf(LINE_FEED);
    if (end < 0) throw new UndecodableError(key, 'it has no head');
    const head = JSON.parse(utf8(record.subarray(0, end))) as Head;
    ({ key } = head);
    if (head.format !== FORMAT)
      throw new UndecodableError(key, `it has format version ${head.format}, and only ${FORMAT} is known here`);
    // Under another id it would be delivered again and again: what is removed is the write's own.
    if (textOf(toWord(head.id)) !== id) throw new UndecodableError(key, 'its id is that of another write');
    return await withValue(head, record.subarray(end + 1), codec);
  } catch (error) {
    return error instanceof UndecodableError ? error : new UndecodableError(key, 'it is malformed', error);
  }
}

async function withValue(head: Head, bytes: Uint8Array, codec: Codec): Promise<QueuedWrite> {
  const { id, sequence, key, kind, at, attempts, revision, triedFor, whole, dead } = head;
  const write = { id, sequence, key, kind, at, attempts, revision, triedFor, whole, dead };
  if (kind === 'delete') return { ...write, value: undefined };
  const payload = head.text === true ? utf8(bytes) : new Uint8Array(bytes);
  return { ...write, value: await fromPayload(key, head.codec ?? '', payload, codec) };
}

function recordOf(head: Head, payload: Payload): Uint8Array {
  const first = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
  const rest = typeof payload === 'string' ? globalBuffer().from(payload, 'utf8') : payload;
  const record = new Uint8Array(first.length + rest.length);
  record.set(first);
  record.set(rest, first.length);
  return toBuffer(record);
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}
