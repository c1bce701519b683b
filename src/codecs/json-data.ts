import { isPlainArray, isPlainObject } from '../base/realm.js';

/**
 * Whether JSON keeps `value` as it is, shared and circular references included: there must be none.
 *
 * This stands before each write of plain data, so it costs a fraction of `JSON.stringify`. Names on an array that are no
 * indices are therefore only looked for where it is empty, begins with an object, or with a text as the matches of regular
 * expressions and the parts of templates do.
 */
export function isJsonData(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? partsFit(value, new Seen(value)) : isJsonPrimitive(value);
}

/** Objects that were met. Most values have few, which an array finds faster than a set. */
class Seen {
  readonly #few: object[];
  #many: Set<object> | undefined;

  constructor(root: object) {
    this.#few = [root];
  }

  /** Whether `object` was not there yet. */
  add(object: object): boolean {
    const many = this.#many;
    // One look-up both tells and adds.
    if (many !== undefined) return many.size !== many.add(object).size;
    const few = this.#few;
    for (let index = 0; index < few.length; index += 1) if (few[index] === object) return false;
    if (few.push(object) === MOST_FEW) this.#many = new Set(few);
    return true;
  }
}

const MOST_FEW = 8;

function partsFit(object: object, seen: Seen): boolean {
  return Array.isArray(object) ? itemsFit(object, seen) : fieldsFit(object, seen);
}

function itemsFit(array: readonly unknown[], seen: Seen): boolean {
  const { length } = array;
  if (Object.getPrototypeOf(array) !== Array.prototype && !isPlainArray(array)) return false;
  if (length === 0 ? Object.keys(array).length > 0 : isNamed(array)) return false;
  for (let index = 0; index < length; index += 1) if (!fits(array[index], seen)) return false;
  return true;
}

function isNamed(array: readonly unknown[]): boolean {
  const [first] = array;
  // Beside what JSON takes for an object, listing the keys is nothing. Beside numbers and short texts it would be a third.
  if (typeof first === 'object' && first !== null && !Array.isArray(first))
    return Object.keys(array).length !== array.length;
  return typeof first === 'string' && ('index' in array || 'raw' in array);
}

function fieldsFit(object: object, seen: Seen): boolean {
  if (Object.getPrototypeOf(object) !== Object.prototype && !isPlainObject(object)) return false;
  // Inherited names are met, too, if a program gave any to all objects: then this is slower, and no less right.
  for (const name in object) if (!fits((object as Readonly<Record<string, unknown>>)[name], seen)) return false;
  return true;
}

function fits(value: unknown, seen: Seen): boolean {
  if (typeof value === 'string') return true;
  if (typeof value === 'object' && value !== null) return seen.add(value) && partsFit(value, seen);
  return isJsonPrimitive(value);
}

function isJsonPrimitive(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  return typeof value === 'string' || typeof value === 'boolean' || value === null;
}

/** A part of a value, and where it lies. */
export interface Loss {
  /** Such as `.items[3].at`; empty for the value itself. */
  readonly path: string;
  readonly what: string;
}

/** The first part of `value` that JSON would change. An object that lies in it twice comes back twice, which is not counted. */
export function firstLoss(value: unknown): Loss | undefined {
  return lossIn(value, '', new Set());
}

function lossIn(value: unknown, path: string, seen: Set<unknown>): Loss | undefined {
  if (typeof value !== 'object' || value === null) {
    const what = typeof value === 'number' ? String(Object.is(value, -0) ? '-0' : value) : typeof value;
    return isJsonPrimitive(value) ? undefined : { path, what };
  }
  if (seen.has(value)) return undefined;
  seen.add(value);
  const names = Object.keys(value);
  const isArray = isPlainArray(value);
  if (!isArray && !isPlainObject(value)) return { path, what: `an object of class ${classOf(value)}` };
  if (isArray && names.length !== value.length) return { path, what: 'an array with holes or names' };
  for (const name of names) {
    const inner = isArray ? `${path}[${name}]` : `${path}.${name}`;
    const loss = lossIn((value as Readonly<Record<string, unknown>>)[name], inner, seen);
    if (loss !== undefined) return loss;
  }
  return undefined;
}

function classOf(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'unknown';
}
