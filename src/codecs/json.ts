import type { Codec } from '../contracts.js';

/**
 * The codec that keeps values as JSON text.
 *
 * Inside a value, JSON silently loses what it can't express: a `Date` comes back as a string, a `Map` or `Set` as `{}`,
 * `NaN` and `Infinity` as `null`, `-0` as `0`, a class instance as a plain object, a typed array as an object with
 * numbers as keys. Properties that are `undefined` or functions are left out; in arrays they become `null`.
 *
 * @throws TypeError from `encode` if nothing would be left of the value (`undefined`, a function, a symbol, an object
 *   whose `toJSON` returns one of these), and for what JSON itself refuses: a `bigint`, a circular reference.
 * @see RFC 8259
 */
export const jsonCodec: Codec = {
  name: 'json',
  encode(value) {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined)
      throw new TypeError(`A value of type ${typeof value} can't be stored as JSON. Use plain data, or another codec`);
    return text;
  },
  decode(payload) {
    return JSON.parse(
      typeof payload === 'string'
        ? payload
        : new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(payload),
    );
  },
};
