import type { Codec } from '../contracts.js';
import { firstLoss, isJsonData } from './json-data.js';

/**
 * The codec that keeps values as JSON text, which other programs can read, and takes no others.
 *
 * A value that JSON would change is refused: one with a `Date`, a `Map`, a `Set`, a typed array, `undefined`, a bigint,
 * `NaN`, `Infinity`, `-0`, an instance of a class. An object that lies in a value twice comes back as two.
 *
 * @throws TypeError from `encode` for such a value, with the path to what JSON would change.
 * @see RFC 8259
 */
export const jsonCodec: Codec = {
  name: 'json',
  encode(value) {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined)
      throw new TypeError(`A value of type ${typeof value} can't be stored as JSON. Use plain data, or another codec`);
    const loss = isJsonData(value) ? undefined : firstLoss(value);
    if (loss === undefined) return text;
    throw new TypeError(
      `JSON would change \`value${loss.path}\` (${loss.what}). Use plain data, or a codec that keeps it, such as the default one`,
    );
  },
  decode: fromJson,
};

/** The value in JSON text, which may have come back as bytes. */
export function fromJson(payload: string | Uint8Array): unknown {
  return JSON.parse(
    typeof payload === 'string' ? payload : new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(payload),
  );
}
