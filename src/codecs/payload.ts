import { isThenable } from '../base/promises.js';
import { isBytes, isError } from '../base/realm.js';
import type { Codec, MaybePromise } from '../contracts.js';
import { isSoloflightError, misuse, UndecodableError, UnencodableError } from '../errors.js';

/** The encoded form of a value. */
export type Payload = string | Uint8Array;

/** Whether `value` has the shape of a codec. */
export function isCodec(value: unknown): value is Codec {
  if (typeof value !== 'object' || value === null) return false;
  const { name, encode, decode } = value as Partial<Codec>;
  return typeof name === 'string' && typeof encode === 'function' && typeof decode === 'function';
}

/**
 * The value of `key`, encoded.
 *
 * @throws {@link UnencodableError}, at once or as a rejection, if the codec throws or rejects, or if it makes neither bytes
 *   nor text that has a UTF-8 form.
 */
export function toPayload(key: string, value: unknown, codec: Codec): MaybePromise<Payload> {
  const failed = (cause: unknown): never => {
    // The remedy for a value that is too large is another one.
    if (isSoloflightError(cause, 'SOLOFLIGHT_VALUE_TOO_LARGE')) throw cause;
    throw new UnencodableError(key, `the codec '${codec.name}' failed on it (${reasonOf(cause)})`, cause);
  };
  const check = (payload: unknown): Payload => {
    try {
      return checked(payload, codec);
    } catch (cause) {
      return failed(cause);
    }
  };
  let encoded: MaybePromise<Payload>;
  try {
    encoded = codec.encode(value);
  } catch (cause) {
    return failed(cause);
  }
  return isThenable(encoded) ? encoded.then(check, failed) : check(encoded);
}

/**
 * The value that `payload` stands for.
 *
 * @throws {@link UndecodableError}, at once or as a rejection, also for a payload of another codec.
 */
export function fromPayload(key: string, writtenBy: string, payload: Payload, codec: Codec): MaybePromise<unknown> {
  if (writtenBy !== codec.name)
    throw new UndecodableError(key, `it was written with the codec '${writtenBy}', and this one is '${codec.name}'`);
  const failed = (cause: unknown): never => {
    throw new UndecodableError(key, `the codec '${codec.name}' failed on it`, cause);
  };
  let decoded: unknown;
  try {
    decoded = codec.decode(typeof payload === 'string' ? payload : toPlainBytes(payload));
  } catch (cause) {
    return failed(cause);
  }
  if (isThenable(decoded)) return decoded.then((value) => something(key, value, codec), failed);
  return something(key, decoded, codec);
}

/** The `meta` of the entry of `key` as JSON text. @throws {@link UnencodableError} */
export function toMeta(key: string, meta: unknown): string {
  try {
    const text = JSON.stringify(meta) as string | undefined;
    if (text !== undefined) return text;
  } catch (cause) {
    throw new UnencodableError(key, `its \`meta\` is no JSON data (${reasonOf(cause)})`, cause);
  }
  throw new UnencodableError(key, `its \`meta\` is no JSON data`, misuse('meta', 'JSON data', meta));
}

/** Whether `text` has no lone surrogates. Node has a method for that, older browsers don't. */
export function isWellFormed(text: string): boolean {
  const own = (text as string & { isWellFormed?(): boolean }).isWellFormed?.();
  return own ?? !/\p{Surrogate}/u.test(text);
}

function checked(payload: unknown, codec: Codec): Payload {
  if (isBytes(payload)) return payload;
  if (typeof payload !== 'string') throw misuse(`result of ${codec.name}.encode`, 'a string or a Uint8Array', payload);
  if (!isWellFormed(payload))
    throw misuse(`result of ${codec.name}.encode`, 'text without lone surrogates, or a Uint8Array', payload);
  return payload;
}

function something(key: string, value: unknown, codec: Codec): unknown {
  if (value === undefined) throw new UndecodableError(key, `the codec '${codec.name}' decoded it to undefined`);
  return value;
}

function reasonOf(cause: unknown): string {
  return isError(cause) ? cause.message.split('\n', 1)[0]! : 'it gave no reason';
}

/** Some drivers return Buffers, while the codec was given a plain `Uint8Array`. */
function toPlainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
