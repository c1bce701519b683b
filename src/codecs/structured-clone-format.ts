/** Version of the format, the first byte of each payload. */
export const VERSION = 1;

/** Added to the version if typed arrays are stored with the highest byte first. */
const BIG_ENDIAN = 128;

/** The byte order of this machine, as a summand of the first byte. */
export const BYTE_ORDER: number = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : BIG_ENDIAN;

/** Whether `bytes` begin as a payload in this format does, in either byte order. No text in UTF-8 begins so, but for a control character. */
export function isClone(bytes: Uint8Array): boolean {
  return bytes[0] === VERSION || bytes[0] === VERSION + BIG_ENDIAN;
}

/** The byte before each value, which tells its type. Never reuse a number. */
export const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  integer: 4,
  double: 5,
  bigint: 6,
  text: 7,
  object: 8,
  array: 9,
  sparse: 10,
  date: 11,
  regexp: 12,
  map: 13,
  set: 14,
  error: 15,
  buffer: 16,
  view: 17,
  boxed: 18,
  /** An object that came before, by its index among all objects. */
  reference: 19,
  /** The end of a map or set, whose size may change while it is read. */
  end: 20,
} as const;

/** Views of buffers. Their index is stored, so add at the end only. */
export const VIEWS: readonly string[] = [
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
];

/** Errors that keep their name; others become an `Error`. Their index is stored, so add at the end only. */
export const ERRORS: readonly ErrorConstructor[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];
