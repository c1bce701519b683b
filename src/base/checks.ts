import { misuse } from '../errors.js';

/** @throws TypeError unless `signal` is absent or can be used as an `AbortSignal`, also one from another realm. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted } = Object(signal) as Partial<AbortSignal>;
  if (typeof aborted !== 'boolean') throw misuse('signal', 'an AbortSignal', signal);
  checkMethods('signal', 'an AbortSignal', signal, ['addEventListener', 'removeEventListener']);
}

export function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw misuse(name, 'an object', value);
}

/** A misspelt option would otherwise be an option that silently does nothing. */
export function checkNames(options: object, names: readonly string[]): void {
  const unknown = Object.keys(options).filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw misuse('options', `without unknown names (known: ${names.join(', ')})`, unknown.join(', '));
}

export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw misuse(name, 'a function', value);
}

export function checkCount(name: string, value: unknown): void {
  if (value !== Infinity && !(Number.isSafeInteger(value) && (value as number) >= 1))
    throw misuse(name, 'an integer ≥ 1 or Infinity', value);
}

export function checkMethods(name: string, expectation: string, value: unknown, methods: readonly string[]): void {
  const given = Object(value) as Record<string, unknown>;
  const missing = methods.filter((method) => typeof value !== 'object' || typeof given[method] !== 'function');
  if (missing.length > 0) throw misuse(name, `${expectation} (missing: ${missing.join(', ')})`, value);
}

export function checkClock(clock: unknown): void {
  checkMethods('clock', 'a clock', clock, ['now', 'monotonic', 'after', 'random']);
}

export function checkTags(tags: unknown): void {
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')))
    throw misuse('tags', 'an array of strings', tags);
}
