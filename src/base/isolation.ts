import { builtInOf, isPlainArray, isPlainObject } from './realm.js';
import { shareable } from './single-use.js';

/** What callers share: the value itself, the value frozen, or nothing. */
export type Isolate = 'none' | 'freeze' | 'clone';

/** How values enter and leave a cache. */
export interface Isolation {
  /** The value as the cache keeps it. May throw for one that can't be isolated. */
  readonly keep: <T>(value: T) => T;
  /** A kept value as one caller gets it. */
  readonly give: <T>(value: T) => T;
  /** Whether a caller may get a value of its own. */
  readonly perCaller: boolean;
}

// By another name: the build takes calls of `Object.freeze` for pure, and drops those whose result nobody uses.
const freezeOne = Object.freeze.bind(Object);

const same = <T>(value: T): T => value;

/** The isolation of that name, or `undefined` where there is none. */
export function isolationOf(name: unknown): Isolation | undefined {
  switch (name) {
    case 'none':
      return { keep: shareable, give: same, perCaller: false };
    case 'freeze':
      return frozen();
    case 'clone':
      return {
        keep: (value) => structuredClone(shareable(value)),
        give: (value) => structuredClone(value),
        perCaller: true,
      };
    default:
      return undefined;
  }
}

/** Freezes values where they are. One with parts that can't be frozen is copied on its way in, and once more for each caller. */
function frozen(): Isolation {
  const copied = new WeakSet<object>();
  const keep = <T>(value: T): T => {
    if (typeof value !== 'object' || value === null || !freeze(shareable(value))) return value;
    const own = copyOf(value, new Map());
    copied.add(own);
    return own;
  };
  const give = <T>(value: T): T =>
    typeof value === 'object' && value !== null && copied.has(value) ? copyOf(value, new Map()) : value;
  return { keep, give, perCaller: true };
}

/** Freezes `value` and all that it holds. Tells whether a part can't be frozen: the content of a `Map`, `Set`, `Date` or buffer. */
function freeze(value: object): boolean {
  let isFluid = false;
  const seen = new Set<unknown>([value]);
  for (const next of seen) {
    if (typeof next !== 'object' || next === null) continue;
    const content = contentOf(next);
    if (content === undefined) freezeOne(next);
    else isFluid = true;
    // What was frozen before may hold parts that were not.
    for (const part of content ?? partsOf(next)) seen.add(part);
  }
  return isFluid;
}

/** What `value` holds that freezing does not reach; `undefined` where freezing reaches all. */
function contentOf(value: object): readonly unknown[] | undefined {
  if (ArrayBuffer.isView(value)) return [];
  if (isPlainArray(value) || isPlainObject(value)) return undefined;
  switch (builtInOf(value) ?? '') {
    case 'Map':
      return Array.from(Map.prototype.entries.call(value)).flat();
    case 'Set':
      return Array.from(Set.prototype.values.call(value));
    case 'Date':
    case 'ArrayBuffer':
      return [];
    default:
      return undefined;
  }
}

/** Own properties, whatever their names. A getter is not called: what it gives is nobody's yet. */
function partsOf(value: object): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return Reflect.ownKeys(value).map((name): unknown => Object.getOwnPropertyDescriptor(value, name)?.value);
}

/** A copy of plain objects, arrays and what can't be frozen. Instances of other classes are frozen, and shared. */
function copyOf<T>(value: T, copies: Map<unknown, unknown>): T {
  if (typeof value !== 'object' || value === null) return value;
  if (copies.has(value)) return copies.get(value) as T;
  const copy = emptyCopyOf(value);
  copies.set(value, copy);
  if (copy instanceof Map)
    for (const [key, item] of Map.prototype.entries.call(value)) copy.set(copyOf(key, copies), copyOf(item, copies));
  else if (copy instanceof Set) for (const item of Set.prototype.values.call(value)) copy.add(copyOf(item, copies));
  else if (isPlainArray(value) || isPlainObject(value)) freezeOne(fill(copy, value, copies));
  return copy as T;
}

function emptyCopyOf(value: object): object {
  if (isPlainArray(value)) return [];
  if (isPlainObject(value)) return Object.create(Object.getPrototypeOf(value) as object | null) as object;
  const kind = builtInOf(value) ?? '';
  if (kind === 'Map') return new Map();
  if (kind === 'Set') return new Set();
  return contentOf(value) === undefined ? value : structuredClone(value);
}

/** The own properties of `value`, copied onto `copy` as they are, so that no setter runs. */
function fill(copy: object, value: object, copies: Map<unknown, unknown>): object {
  for (const name of Reflect.ownKeys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, name) as PropertyDescriptor;
    if ('value' in property) property.value = copyOf(property.value as unknown, copies);
    // The length of an array comes after its items, and is fixed from then on.
    Object.defineProperty(copy, name, property);
  }
  return copy;
}
