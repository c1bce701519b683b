import { checkNames, checkObject } from '../base/checks.js';
import { misuse } from '../errors.js';
import type { ReadOptions } from '../read/read-options.js';
import { signalOf } from './abort-link.js';
import { byteLength } from './json-face.js';
import { LONGEST_KEY, type AskedRead, type ObjectLifetimeOptions, type ObjectReadOptions } from './question.js';

const READ_OPTIONS = ['signal', 'maxStale', 'softTimeout', 'timeout'] as const;
const LIFETIME_OPTIONS = ['ttl', 'staleWhileRevalidate', 'staleIfError', 'tags'] as const;

/** The options of a client's read, with its signal. */
export function optionsOf({ options, abort }: AskedRead): ObjectReadOptions | undefined {
  if (options !== undefined) checkObject('options', options);
  const signal = signalOf(abort);
  return signal === undefined ? options : { ...options, signal };
}

export function readOptions(options: ObjectReadOptions | undefined): ReadOptions | undefined {
  if (options === undefined) return undefined;
  checkObject('options', options);
  checkNames(options, READ_OPTIONS);
  return options;
}

export function checkLifetime(options: ObjectLifetimeOptions): void {
  checkObject('options', options);
  checkNames(options, LIFETIME_OPTIONS);
  // Over RPC a function arrives as a stub that calls back the caller, long after it has left.
  if (typeof options.ttl === 'function') throw misuse('ttl', "a duration: functions can't be sent", options.ttl);
  if (typeof options.tags === 'function') throw misuse('tags', 'an array of strings', options.tags);
}

export function checkKey(key: string): string {
  // Most keys are far too short for counting bytes.
  if (typeof key === 'string' && (key.length * 3 <= LONGEST_KEY || byteLength(key) <= LONGEST_KEY)) return key;
  throw misuse('key', `a string of at most ${LONGEST_KEY} bytes`, key);
}

export function checkKeys(keys: readonly string[]): readonly string[] {
  if (!Array.isArray(keys)) throw misuse('keys', 'an array of strings', keys);
  for (const key of keys) checkKey(key as string);
  return keys;
}

export function checkKeyOrKeys(key: string | readonly string[]): string | readonly string[] {
  return Array.isArray(key) ? checkKeys(key) : checkKey(key as string);
}
