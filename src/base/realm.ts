/**
 * Whether `value` is a plain object: made by a literal or by `JSON.parse`, or without a prototype. Those of another realm
 * (an iframe, a `vm` context, a test of Jest) have another `Object.prototype`, and are plain objects like any.
 */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || prototype === Object.prototype || isRoot(prototype);
}

/** Whether `value` is an array, of any realm, and not of a subclass. */
export function isPlainArray(value: object): value is readonly unknown[] {
  if (!Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Array.prototype) return true;
  // The prototype of arrays is an array itself, and that of a subclass is none.
  return Array.isArray(prototype) && isRoot(Object.getPrototypeOf(prototype) as object | null);
}

/** Whether `prototype` is the `Object.prototype` of a realm. */
function isRoot(prototype: object | null): boolean {
  return (
    prototype !== null && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'propertyIsEnumerable')
  );
}

/** Whether `value` is an error, of any realm: `instanceof` knows those of this one. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || tagOf(value) === 'Error';
}

/** Whether `value` is a `Map`, of any realm. */
export function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return value instanceof Map || tagOf(value) === 'Map';
}

/** Whether `value` is a `Uint8Array`, of any realm: under Jest, the Buffers of Node are of another one. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || (ArrayBuffer.isView(value) && tagOf(value) === 'Uint8Array');
}

/** The built-in class that `value` is a direct instance of, in its realm. `undefined`: a subclass, or another class. */
export function builtInOf(value: object): string | undefined {
  const prototype = Object.getPrototypeOf(value) as object;
  const owner: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof owner !== 'function' || owner.prototype !== prototype) return undefined;
  return Function.prototype.toString.call(owner).includes('[native code]') ? owner.name : undefined;
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}
