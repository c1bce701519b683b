import { isBytes } from '../base/realm.js';
import type { Codec, MaybePromise } from '../contracts.js';
import { isEntry, type Entry } from '../entry.js';
import { UndecodableError } from '../errors.js';
import { fromBase64, toBase64 } from './base64.js';
import { chain } from './chain.js';
import { fromPayload, toMeta, toPayload, type Payload } from './payload.js';

/**
 * Version of the envelope: `soloflight/1 `, a header, a line feed, the payload.
 *
 * The header is a JSON array without line feeds: the codec's name (`null` for an absent value), the payload's form, its
 * length in characters or bytes (a file may be read while it is written, and half a number is a number, too),
 * `startedAt`, `createdAt`, `freshUntil`, `staleUntil`, `errorUntil`, `loadMs`, tags, and `meta` if there is any. Claims, if
 * there are any, come last, with whether the `meta` before them is one.
 */
const VERSION = 1;

/** Neither JSON nor a number, so that storages which parse either leave it alone. */
const PREFIX = `soloflight/${VERSION} `;

const LINE_FEED = 10;

/** The form of a payload in the envelope: text, bytes, or bytes written as text. */
type Form = 'text' | 'bytes' | 'base64';

/** What an envelope is made of. */
interface Parts {
  readonly key: string;
  readonly entry: Entry;
  readonly codec: Codec;
}

interface Header {
  readonly codec: string | null;
  readonly form: Form;
  readonly length: number;
  readonly entry: Omit<Entry, 'value'>;
}

/**
 * `entry` as one text, for storages that keep one text per key. It has a UTF-8 form.
 *
 * @throws `UnencodableError`, at once or as a rejection.
 */
export function sealAsText(key: string, entry: Entry, codec: Codec): MaybePromise<string> {
  const parts = { key, entry, codec };
  return withPayload(parts, (payload) =>
    typeof payload === 'string'
      ? headerOf(parts, 'text', payload.length) + payload
      : headerOf(parts, 'base64', payload.length) + toBase64(payload),
  );
}

/** `entry` as bytes, for storages that keep bytes. @throws `UnencodableError`, at once or as a rejection. */
export function sealAsBytes(key: string, entry: Entry, codec: Codec): MaybePromise<Uint8Array> {
  const parts = { key, entry, codec };
  return withPayload(parts, (payload) => {
    const utf8 = new TextEncoder();
    if (typeof payload === 'string') return utf8.encode(headerOf(parts, 'text', payload.length) + payload);
    const header = utf8.encode(headerOf(parts, 'bytes', payload.length));
    const sealed = new Uint8Array(header.length + payload.length);
    sealed.set(header);
    sealed.set(payload, header.length);
    return sealed;
  });
}

/**
 * The entry in an envelope of text or bytes.
 *
 * @throws {@link UndecodableError}, at once or as a rejection, for anything else and for another version.
 */
export function unseal(key: string, sealed: unknown, codec: Codec): MaybePromise<Entry> {
  if (typeof sealed !== 'string' && !isBytes(sealed))
    throw new UndecodableError(key, `it is neither text nor bytes (${typeof sealed})`);
  const end = typeof sealed === 'string' ? sealed.indexOf('\n') : sealed.indexOf(LINE_FEED);
  const header = readHeader(key, toText(key, sealed.slice(0, Math.max(0, end))));
  const entryWith = (value: unknown): Entry => ({ value, ...header.entry });
  if (header.codec === null) return entryWith(undefined);
  const payload = readPayload(key, sealed, end + 1, header.form);
  if (payload.length !== header.length)
    throw new UndecodableError(key, `its payload has the length ${payload.length} instead of ${header.length}`);
  return chain(fromPayload(key, header.codec, payload, codec), entryWith);
}

function withPayload<T>({ key, entry, codec }: Parts, seal: (payload: Payload) => T): MaybePromise<T> {
  return entry.value === undefined ? seal('') : chain(toPayload(key, entry.value, codec), seal);
}

function headerOf({ key, entry, codec }: Parts, form: Form, length: number): string {
  const { startedAt, createdAt, freshUntil, staleUntil, errorUntil, loadMs, tags, meta, claims } = entry;
  const numbers = [startedAt, createdAt, freshUntil, staleUntil, errorUntil, loadMs].map(toJsonNumber);
  const fields = JSON.stringify([entry.value === undefined ? null : codec.name, form, length, ...numbers, tags]);
  let rest = meta === undefined ? '' : `,${toMeta(key, meta)}`;
  if (claims !== undefined) rest = `${rest || ',null'},${JSON.stringify([rest !== '', ...claims])}`;
  return `${PREFIX}${fields.slice(0, -1)}${rest}]\n`;
}

function readHeader(key: string, text: string): Header {
  const [, version, fields] = /^soloflight\/(\d+) (.*)$/s.exec(text) ?? [];
  if (version === undefined || fields === undefined)
    throw new UndecodableError(key, 'it was not written by soloflight');
  if (version !== String(VERSION))
    throw new UndecodableError(key, `it has format version ${version}, and only ${VERSION} is known here`);

  let header: unknown;
  try {
    header = JSON.parse(fields);
  } catch (cause) {
    throw new UndecodableError(key, 'its header is not JSON', cause);
  }
  if (!Array.isArray(header)) throw new UndecodableError(key, 'its header is no array');
  const [codec, form, length, startedAt, createdAt, freshUntil, staleUntil, errorUntil, loadMs, tags, meta, last] =
    header as unknown[];
  const [hasMeta, ...claims] = Array.isArray(last) ? (last as unknown[]) : [true];
  const entry = {
    startedAt: fromJsonNumber(startedAt),
    createdAt: fromJsonNumber(createdAt),
    freshUntil: fromJsonNumber(freshUntil),
    staleUntil: fromJsonNumber(staleUntil),
    errorUntil: fromJsonNumber(errorUntil),
    loadMs: fromJsonNumber(loadMs),
    tags,
    meta: hasMeta === false ? undefined : meta,
    ...(claims.length > 0 && { claims }),
  };
  const hasCodec = codec === null || typeof codec === 'string';
  const hasForm = form === 'text' || form === 'bytes' || form === 'base64';
  if (!hasCodec || !hasForm || typeof length !== 'number' || !isEntry(entry))
    throw new UndecodableError(key, 'its header is not that of an entry');
  return { codec, form, length, entry };
}

function readPayload(key: string, sealed: Payload, start: number, form: Form): Payload {
  if (form === 'text') return toText(key, sealed.slice(start));
  if (form === 'base64') return fromText(key, toText(key, sealed.slice(start)));
  if (typeof sealed === 'string') throw new UndecodableError(key, 'it was stored as bytes and came back as text');
  return sealed.slice(start);
}

function toText(key: string, part: Payload): string {
  if (typeof part === 'string') return part;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part);
  } catch (cause) {
    throw new UndecodableError(key, 'it is not UTF-8', cause);
  }
}

function fromText(key: string, base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (cause) {
    throw new UndecodableError(key, 'it is not base64', cause);
  }
}

/** JSON has no infinite numbers. */
function toJsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function fromJsonNumber(value: unknown): unknown {
  if (value === 'Infinity') return Infinity;
  return value === '-Infinity' ? -Infinity : value;
}
