import { chain } from '../codecs/chain.js';
import { sealAsText, unseal } from '../codecs/envelope.js';
import type { Codec, MaybePromise, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';

/** The head of an entry, and the sealed entry, which need not be decoded for comparing or sweeping. */
export interface WebRow {
  readonly keepUntil: number;
  readonly startedAt: number;
  readonly sealed: string;
}

/** `<keepUntil> <startedAt> <sealed entry>` */
const ROW = /^(-?[\w.+-]{1,30}) (-?[\d.e+-]{1,30}) (?=soloflight\/)/;

export function writeRow({ key, entry, keepUntil }: StorageWrite, codec: Codec): MaybePromise<string> {
  return chain(sealAsText(key, entry, codec), (sealed) => `${keepUntil} ${entry.startedAt} ${sealed}`);
}

/** The parts of `text`; `undefined` for anything but a row. */
export function parseRow(text: string | undefined): WebRow | undefined {
  const [head, keepUntil, startedAt] = ROW.exec(text ?? '') ?? [];
  if (text === undefined || head === undefined) return undefined;
  const row = { keepUntil: Number(keepUntil), startedAt: Number(startedAt), sealed: text.slice(head.length) };
  return Number.isNaN(row.keepUntil) || Number.isNaN(row.startedAt) ? undefined : row;
}

/** @throws {@link UndecodableError}, at once or as a rejection. */
export function readRow(key: string, text: string, codec: Codec): MaybePromise<Entry> {
  const row = parseRow(text);
  if (row === undefined) throw new UndecodableError(key, 'it was not written by soloflight');
  return unseal(key, row.sealed, codec);
}
