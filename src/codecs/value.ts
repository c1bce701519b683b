import type { Codec } from '../contracts.js';
import { isJsonData } from './json-data.js';
import { fromJson } from './json.js';
import { isClone } from './structured-clone-format.js';
import { structuredCloneCodec } from './structured-clone.js';

/**
 * The default codec of tiers that keep text or bytes: every value comes back as it went in.
 *
 * Values that JSON keeps are JSON text, as fast and as small. All others are the bytes of {@link structuredCloneCodec}: those
 * with a `Date`, a `Map`, a `Set`, a bigint, `undefined`, `NaN`, a typed array, an `Error`, or one object in two places. Its
 * limits are the limits here.
 *
 * Names on an array are kept if the array is empty or begins with an object. On an array of numbers, texts or arrays they are lost,
 * as with JSON: listing its keys would take as long as writing it. {@link structuredCloneCodec} keeps them.
 *
 * It has the name of `jsonCodec`, which reads what it wrote as JSON, and whose payloads it reads, too.
 *
 * @throws TypeError from `encode` for a value without a stored form: a function, a symbol, a promise, a stream.
 */
export const valueCodec: Codec = {
  name: 'json',
  encode: (value) => (isJsonData(value) ? JSON.stringify(value) : structuredCloneCodec.encode(value)),
  decode: (payload) =>
    typeof payload !== 'string' && isClone(payload) ? structuredCloneCodec.decode(payload) : fromJson(payload),
};
