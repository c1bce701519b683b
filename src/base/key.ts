import { misuse } from '../errors.js';

/** Arguments nested deeper than this are taken for a mistake. */
const DEEPEST = 200;

/**
 * One string for any arguments, equal exactly when the arguments are.
 *
 * Injective and stable across processes: `1` and `'1'`, `null` and `undefined`, `0` and `-0` differ; the order of object
 * keys, of Map entries and of Set members does not matter. Takes strings, numbers, bigints, booleans, `null`,
 * `undefined`, arrays, plain objects, Date, RegExp, URL, Map, Set, ArrayBuffer and its views. A hole in an array counts as `undefined`.
 *
 * @throws TypeError for what has no content to tell it by: functions, symbols, cycles, and objects of other classes,
 * whose private state could differ unseen.
 */
export function keyOf(...parts: unknown[]): string {
  return encodeAll(parts, []);
}

/** A list, in which each item ends with a comma. */
function encodeAll(items: readonly unknown[], path: object[]): string {
  let list = '';
  // By index, so that holes count as `undefined`.
  for (let index = 0; index < items.length; index += 1) list += `${encode(items[index], path)},`;
  return list;
}

/**
 * Every encoding delimits itself: strings carry their length, everything else ends before a comma or a bracket.
 *
 * `path` holds the objects that `value` lies in, and does so again when this returns.
 */
function encode(value: unknown, path: object[]): string {
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      return Object.is(value, -0) ? 'n-0' : `n${value}`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'undefined':
      return 'u';
    case 'bigint':
      return `i${value}`;
    case 'object':
      return value === null ? 'z' : encodeObject(value, path);
    case 'function':
    case 'symbol':
      throw unfit(typeof value);
  }
}

function encodeObject(value: object, path: object[]): string {
  if (path.includes(value)) throw unfit('object that contains itself');
  if (path.length >= DEEPEST) throw unfit(`object nested more than ${DEEPEST} levels deep`);
  path.push(value);
  const key = encodeContent(value, path);
  path.pop();
  return key;
}

function encodeContent(value: object, path: object[]): string {
  if (Array.isArray(value)) return `[${encodeAll(value, path)}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return encodeFields(value as Record<string, unknown>, path);
  if (value instanceof Date) return `D${value.getTime()}`;
  if (value instanceof Map)
    return `M(${sorted([...value].map(([key, item]) => `${encode(key, path)}=${encode(item, path)}`))})`;
  if (value instanceof Set) return `S(${sorted([...value].map((item) => encode(item, path)))})`;
  if (value instanceof RegExp) return `R${text(value.source)}${value.flags}`;
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name}${bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer${bytes(new Uint8Array(value))}`;
  if (typeof URL === 'function' && value instanceof URL) return `L${text(value.href)}`;
  throw unfit(`object of class ${(value.constructor as { readonly name?: string } | undefined)?.name ?? 'unknown'}`);
}

function encodeFields(value: Record<string, unknown>, path: object[]): string {
  if (Object.getOwnPropertySymbols(value).length > 0) throw unfit('object with symbol keys');
  let fields = '';
  for (const name of inOrder(Object.keys(value))) fields += `${text(name)}=${encode(value[name], path)},`;
  return `{${fields}}`;
}

/** `names` by their UTF-16 units, in place. Most are few and in order already, where a sort would cost more than the rest. */
function inOrder(names: string[]): string[] {
  for (let index = 1; index < names.length; index += 1) {
    if (names[index - 1]! > names[index]!) return names.sort();
  }
  return names;
}

/** Length first, so that no content can look like structure. */
function text(value: string): string {
  return `${value.length}:${value}`;
}

function sorted(items: readonly string[]): string {
  // Not `toSorted`, which Safari 15 lacks.
  return [...items].sort().map(text).join('');
}

function bytes(view: Uint8Array): string {
  return `<${view.toString()}>`;
}

function unfit(what: string): TypeError {
  return misuse('arguments', 'data that a key can be made of; else give a `key` function', what);
}
