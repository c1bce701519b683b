import { isBytes } from '../base/realm.js';
import { chain } from '../codecs/chain.js';
import { sealAsBytes, unseal } from '../codecs/envelope.js';
import type { Codec, MaybePromise } from '../contracts.js';
import type { Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';
import { globalBuffer, toBuffer } from './client.js';

const LINE_FEED = 10;
/** The text of a number is never longer. */
const LONGEST_HEAD = 32;

/** `entry` as a value in Redis: `startedAt` as text, which scripts compare, a line feed, the envelope. @throws `UnencodableError` */
export function toValue(key: string, entry: Entry, codec: Codec): MaybePromise<Uint8Array> {
  return chain(sealAsBytes(key, entry, codec), (sealed) => {
    const head = globalBuffer().from(`${toText(entry.startedAt)}\n`, 'utf8');
    const value = new Uint8Array(head.length + sealed.length);
    value.set(head);
    value.set(sealed, head.length);
    return toBuffer(value);
  });
}

/** @throws {@link UndecodableError}, at once or as a rejection. */
export function toEntry(key: string, value: unknown, codec: Codec): MaybePromise<Entry> {
  if (!isBytes(value)) throw new UndecodableError(key, 'Redis did not answer with a string');
  const head = value.subarray(0, LONGEST_HEAD).indexOf(LINE_FEED);
  if (head < 0) throw new UndecodableError(key, 'it was not written by soloflight');
  return unseal(key, value.subarray(head + 1), codec);
}

/** An instant in the form that Redis takes: whole milliseconds, `''` for none. */
export function toDeadline(instant: number): string {
  if (instant >= Number.MAX_SAFE_INTEGER) return '';
  return String(Math.max(1, Math.ceil(instant)));
}

/** A number as Lua reads it. */
export function toText(number: number): string {
  if (Number.isFinite(number)) return String(number);
  return number < 0 ? '-1e308' : '1e308';
}
