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
