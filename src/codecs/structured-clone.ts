import type { Codec } from '../contracts.js';
import { CloneReader } from './structured-clone-reader.js';
import { CloneWriter } from './structured-clone-writer.js';

/**
 * The codec that keeps what `structuredClone` keeps, as bytes.
 *
 * Beyond JSON: `undefined`, `NaN`, `Infinity`, `-0`, bigints, dates, maps, sets, regular expressions, errors with stack
 * and cause, array buffers, typed arrays, boxed primitives, holes in arrays, lone surrogates, shared and circular
 * references. As with `structuredClone`, an instance of a class comes back as a plain object, and properties whose
 * name is a symbol are left out.
 *
 * Unlike with `structuredClone`, each view of a buffer comes back with a buffer of its own, which holds only the bytes of
 * the view. Buffers have a fixed length. Objects of the platform (`Blob`, `URL`, `DOMException`) and others that name their
 * type by `Symbol.toStringTag` are refused. The stack limits nesting to some thousand levels.
 *
 * @throws TypeError from `encode` for a value without a stored form: a function, a symbol, a promise, a weak collection.
 */
export const structuredCloneCodec: Codec = {
  name: 'structured-clone',
  encode: (value) => new CloneWriter().write(value),
  decode(payload) {
    if (typeof payload === 'string') throw new TypeError('Expected bytes, got text');
    return new CloneReader(payload).read();
  },
};
