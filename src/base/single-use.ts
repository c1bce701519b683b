import { misuse } from '../errors.js';

/** The number of parts of a value that are looked at, and how deep they may lie: what can be read only once lies near the top. */
const MOST_PARTS = 100;
const DEEPEST = 4;

/**
 * `value`, which several callers are to share.
 *
 * @throws TypeError if it is or holds something that the first of them would use up: a response, a stream, an iterator, a promise.
 */
export function shareable<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  const found = find(value, 0, { parts: MOST_PARTS });
  if (found === undefined) return value;
  throw misuse(
    `value${found.path}`,
    `something that several callers can read, not ${found.what}: keep what is in it, as by ${found.cure}`,
    value,
  );
}

interface Found extends Kind {
  readonly path: string;
}

interface Kind {
  readonly what: string;
  readonly cure: string;
}

/** Without iterators over all kinds of parts: each read of a storage comes by. Of a large value, only the first parts are looked at. */
function find(value: object, depth: number, left: { parts: number }): Found | undefined {
  const kind = kindOf(value);
  if (kind !== undefined) return { ...kind, path: '' };
  if (depth === DEEPEST || ArrayBuffer.isView(value)) return undefined;
  if (Array.isArray(value)) {
    // Not by name: the engine would make a list of all indices first.
    for (let index = 0; index < value.length && left.parts > 0; index += 1) {
      const inner = findIn(value[index], depth, left);
      if (inner !== undefined) return { ...inner, path: `[${index}]${inner.path}` };
    }
  } else if (value instanceof Map || value instanceof Set) {
    for (const member of value.values()) {
      if (left.parts <= 0) return undefined;
      const inner = findIn(member, depth, left);
      if (inner !== undefined) return { ...inner, path: ` (a member)${inner.path}` };
    }
  } else {
    for (const name in value) {
      if (left.parts <= 0) return undefined;
      const inner = findIn((value as Readonly<Record<string, unknown>>)[name], depth, left);
      if (inner !== undefined) return { ...inner, path: `.${name}${inner.path}` };
    }
  }
  return undefined;
}

/** What a part holds that lies one deeper than `depth`. */
function findIn(part: unknown, depth: number, left: { parts: number }): Found | undefined {
  left.parts -= 1;
  return typeof part === 'object' && part !== null ? find(part, depth + 1, left) : undefined;
}

/** By what it does and not by class: there are many kinds of streams and responses, and several realms. */
function kindOf(value: object): Kind | undefined {
  const { then, bodyUsed, clone, getReader, getWriter, pipe, next } = value as Readonly<Record<string, unknown>>;
  if (typeof then === 'function') return { what: 'a promise', cure: '`await`' };
  if (typeof bodyUsed === 'boolean' && typeof clone === 'function')
    return { what: 'a Response or Request', cure: '`await response.json()`, or use `soloflight/http`' };
  if (isFunction(getReader) || isFunction(getWriter) || isFunction(pipe))
    return { what: 'a stream', cure: '`await new Response(stream).bytes()`' };
  const iterates = Symbol.iterator in value || Symbol.asyncIterator in value;
  return iterates && isFunction(next) ? { what: 'an iterator', cure: '`Array.from(iterator)`' } : undefined;
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
