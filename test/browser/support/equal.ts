/** Whether two values, plain data or typed arrays, are deeply equal. `undefined` is not a missing key. */
function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}

/** What the suites compare by, inside a page. @throws Error that shows both. */
export function assertEqual(actual: unknown, expected: unknown): void {
  if (!isEqual(actual, expected)) throw new Error(`expected ${show(expected)}, got ${show(actual)}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, part: unknown) => (isPlain(part) ? part : String(part)));
  return text === undefined ? String(value) : text.slice(0, 2_000);
}

function isPlain(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'string' || typeof value === 'boolean';
}
