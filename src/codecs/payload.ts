import { isThenable } from '../base/promises.js';
import type { Codec, MaybePromise } from '../contracts.js';
import { misuse, UndecodableError } from '../errors.js';
import { chain } from './chain.js';

/** The encoded form of a value. */
export type Payload = string | Uint8Array;

/** Whether `value` has the shape of a codec. */
export function isCodec(value: unknown): value is Codec {
  if (typeof value !== 'object' || value === null) return false;
  const { name, encode, decode } = value as Partial<Codec>;
  return typeof name === 'string' && typeof encode === 'function' && typeof decode === 'function';
}

/** `value` encoded. Throws or rejects if the codec does, or if it makes neither bytes nor text that has a UTF-8 form. */
export function toPayload(value: unknown, codec: Codec): MaybePromise<Payload> {
  return chain(codec.encode(value), (payload) => checked(payload, codec));
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

/** `meta` as JSON text. */
export function toMeta(meta: unknown): string {
  const text = JSON.stringify(meta) as string | undefined;
  if (text === undefined) throw misuse('meta', 'JSON data', meta);
  return text;
}

/** Every supported runtime has this method, but the library that TypeScript is told to assume has not. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

function checked(payload: unknown, codec: Codec): Payload {
  if (payload instanceof Uint8Array) return payload;
  if (typeof payload !== 'string') throw misuse(`result of ${codec.name}.encode`, 'a string or a Uint8Array', payload);
  if (!isWellFormed(payload))
    throw misuse(`result of ${codec.name}.encode`, 'text without lone surrogates, or a Uint8Array', payload);
  return payload;
}

function something(key: string, value: unknown, codec: Codec): unknown {
  if (value === undefined) throw new UndecodableError(key, `the codec '${codec.name}' decoded it to undefined`);
  return value;
}

/** Some drivers return Buffers, while the codec was given a plain `Uint8Array`. */
function toPlainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
