import { misuse } from '../errors.js';
import { builtInOf, isPlainArray, isPlainObject } from './realm.js';

/** Arguments nested deeper than this are taken for a mistake. */
const DEEPEST = 200;

/**
 * One string for any arguments, equal exactly when the arguments are.
 *
 * Injective and stable across processes: `1` and `'1'`, `null` and `undefined`, `0` and `-0` differ; the order of object
 * keys, of Map entries and of Set members does not matter. Takes strings, numbers, bigints, booleans, `null`,
 * `undefined`, arrays, plain objects, Date, RegExp, URL, Map, Set, ArrayBuffer and its views, of any realm. A hole in an array counts as `undefined`.
 *
 * @throws TypeError for what has no content to tell it by: functions, symbols, cycles, and objects of other classes,
 * subclasses included, whose private state could differ unseen.
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
  if (isPlainArray(value)) return isNamed(value) ? refuse('array with names') : `[${encodeAll(value, path)}]`;
  if (isPlainObject(value)) return encodeFields(value as Record<string, unknown>, path);
  if (ArrayBuffer.isView(value)) return encodeView(value);
  const kind = builtInOf(value) ?? (isUrl(value) ? 'URL' : undefined);
  // What it holds beside its content would not be seen.
  if (Object.keys(value).length > 0) return refuse(`object of class ${classOf(value)} with properties of its own`);
  // Methods are those of the built-in class of this realm: they take objects of all realms.
  switch (kind ?? '') {
    case 'Date':
      return `D${Date.prototype.getTime.call(value)}`;
    case 'Map':
      return `M(${sorted(Array.from(Map.prototype.entries.call(value), ([key, item]) => `${encode(key, path)}=${encode(item, path)}`))})`;
    case 'Set':
      return `S(${sorted(Array.from(Set.prototype.values.call(value), (item) => encode(item, path)))})`;
    case 'RegExp':
      return `R${text((value as RegExp).source)}${(value as RegExp).flags}`;
    case 'ArrayBuffer':
      return `ArrayBuffer${bytes(new Uint8Array(value as ArrayBuffer))}`;
    case 'URL':
      return `L${text((value as { readonly href: string }).href)}`;
    default:
      return refuse(`object of class ${classOf(value)}`);
  }
}

/** Of subclasses, only Node's Buffer is known to hold nothing but its bytes. */
function encodeView(view: ArrayBufferView): string {
  const prototype: unknown = Object.getPrototypeOf(view);
  const { Buffer } = globalThis as { readonly Buffer?: { readonly prototype: unknown } };
  const kind = builtInOf(view) ?? (prototype === Buffer?.prototype ? 'Buffer' : undefined);
  if (kind === undefined) return refuse(`object of class ${classOf(view)}`);
  return `${kind}${bytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))}`;
}

/** Whether `array` has names beside its indices, which come first. */
function isNamed(array: readonly unknown[]): boolean {
  const last = Object.keys(array).at(-1);
  return last !== undefined && !(Number(last) < array.length);
}

/** `URL` is a class of the language's own, or one written for the platform, of which this is not a subclass. */
function isUrl(value: object): boolean {
  return typeof URL === 'function' && Object.getPrototypeOf(value) === URL.prototype;
}

function classOf(value: object): string {
  return (value.constructor as { readonly name?: string } | undefined)?.name ?? 'unknown';
}

function refuse(what: string): never {
  throw unfit(what);
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
