import type { Isolation } from '../base/isolation.js';
import { misuse } from '../errors.js';

/** Built-in classes whose instances are data, wherever they are read. */
const DATA =
  /^(Object|.*Array|Map|Set|Date|RegExp|Boolean|Number|String|BigInt|Symbol|.*Buffer|DataView|.*Error|DOMException)$/;

/** `isolation` for values that other requests are to see: those that belong to the request that made them are refused. */
export function plainOnly(isolation: Isolation): Isolation {
  const keep = <T>(value: T): T => {
    const foreign = foreignPart(value);
    if (foreign === undefined) return isolation.keep(value);
    throw misuse(
      `value${foreign.path}`,
      `plain data, not a ${nameOf(foreign.value)} that belongs to one request (\`scope: requestScope()\`): read it first, as by \`await response.json()\``,
      foreign.value,
    );
  };
  return { ...isolation, keep };
}

/** `reason`, for which a load failed, as others may have it: an error as it is, and instead of a response an error. */
export function plainReason(reason: unknown): unknown {
  if (isPrimitive(reason) || reason instanceof Error || !isForeign(reason)) return reason;
  return misuse(
    'reason of the failed load',
    `an Error or plain data, not a ${nameOf(reason)} that belongs to one request`,
    reason,
  );
}

interface Part {
  readonly path: string;
  readonly value: unknown;
}

/** The first part of `value` that is bound to the request that made it: a response, a stream, a stub, a promise, a function. */
function foreignPart(value: unknown): Part | undefined {
  if (isPrimitive(value)) return undefined;
  const seen = new Set<unknown>([value]);
  const pending: Part[] = [{ path: '', value }];
  for (const part of pending) {
    if (isForeign(part.value)) return part;
    for (const inner of partsOf(part)) {
      if (isPrimitive(inner.value) || seen.has(inner.value)) continue;
      seen.add(inner.value);
      pending.push(inner);
    }
  }
  return undefined;
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' && typeof value !== 'function') || value === null;
}

/** Whether a class of the platform that is none of {@link DATA} stands behind `value`, whose own properties are not touched: a stub has all. */
function isForeign(value: unknown): boolean {
  if (typeof value === 'function') return true;
  let prototype = Object.getPrototypeOf(value) as object | null;
  while (prototype !== null) {
    const owner: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    const platform = Object.hasOwn(prototype, Symbol.toStringTag) || (typeof owner === 'function' && isBuiltIn(owner));
    if (platform && !(typeof owner === 'function' && DATA.test(owner.name))) return true;
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return false;
}

function isBuiltIn(owner: object): boolean {
  return Function.prototype.toString.call(owner).includes('[native code]');
}

function nameOf(value: unknown): string {
  if (typeof value === 'function') return 'function or stub';
  const owner: unknown = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(value) as object, 'constructor')?.value;
  return typeof owner === 'function' ? owner.name : 'stub';
}

function* partsOf({ path, value }: Part): Generator<Part> {
  if (ArrayBuffer.isView(value)) return;
  if (value instanceof Map) {
    for (const [key, inner] of value) {
      yield { path: `${path} (a key)`, value: key };
      yield { path: `${path}.get(${String(key)})`, value: inner };
    }
  }
  if (value instanceof Set) for (const inner of value) yield { path: `${path} (a member)`, value: inner };
  for (const [name, inner] of Object.entries(value as object)) {
    yield { path: Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`, value: inner };
  }
}
