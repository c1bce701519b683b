import { misuse } from '../errors.js';
import { isError, isPlainObject } from './realm.js';

/** Beyond this many objects, or this deep, `structuredClone` is used: it knows cycles and shared parts. */
const MOST_OBJECTS = 1_000;
const DEEPEST = 16;
const LONGEST_ARRAY = 64;

/**
 * A copy of `value` that shares no object with it. Plain data is copied by hand, which is several times as fast as
 * `structuredClone`; that takes everything else. Instances of classes become plain objects.
 *
 * @throws TypeError for a value that can't be cloned, naming it `name`.
 */
export function copyOf<T>(name: string, value: T): T {
  if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return value;
  const copy = new PlainCopy();
  const copied = copy.of(value, 0);
  if (!copy.failed) return copied as T;
  try {
    return structuredClone(value);
  } catch (cause) {
    throw misuse(name, `a value that \`structuredClone\` takes (${messageOf(cause)})`, value);
  }
}

/** Copies plain objects and arrays, or fails. */
class PlainCopy {
  failed = false;
  #left = MOST_OBJECTS;

  of(value: unknown, depth: number): unknown {
    if (typeof value === 'function' || typeof value === 'symbol') return this.#fail();
    if (typeof value !== 'object' || value === null) return value;
    this.#left -= 1;
    if (this.failed || this.#left < 0 || depth === DEEPEST) return this.#fail();
    if (Array.isArray(value)) return this.#array(value, depth + 1);
    return isPlainObject(value) ? this.#object(value, depth + 1) : this.#fail();
  }

  #array(array: readonly unknown[], depth: number): unknown {
    // Holes, and names that are no indices, stay what they are. To look for them costs more than it saves in a long array.
    if (array.length > LONGEST_ARRAY || Object.keys(array).length !== array.length) return this.#fail();
    return array.map((item) => this.of(item, depth));
  }

  #object(object: object, depth: number): unknown {
    const copy: Record<string, unknown> = {};
    for (const key of Object.keys(object)) {
      // As an assignment it would set the prototype.
      if (key === '__proto__') return this.#fail();
      copy[key] = this.of((object as Record<string, unknown>)[key], depth);
    }
    return copy;
  }

  #fail(): undefined {
    this.failed = true;
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return isError(error) ? error.message : String(error);
}
