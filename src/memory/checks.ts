import { parseDuration } from '../base/duration.js';
import { misuse } from '../errors.js';

/** Entries that one `Map` holds at most in V8; beyond that, `set` throws. */
const MOST = 16_777_216;

/** @throws TypeError unless `max` is absent or a number of entries that a memory tier can hold. */
export function checkMax(max: number | undefined): void {
  checkLimit('max', max);
  if (max !== undefined && max > MOST) throw misuse('max', 'at most 16,777,216, as a Map holds no more', max);
}

/** @throws TypeError unless `value` is absent or an integer ≥ 1. */
export function checkLimit(name: string, value: unknown): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 1))
    throw misuse(name, 'an integer ≥ 1', value);
}

/** The option `ttl` of a memory tier in milliseconds, `undefined` where it is absent. */
export function resolveTtl(ttl: unknown): number | undefined {
  return ttl === undefined ? undefined : parseDuration('ttl', ttl, { zero: false, infinite: true });
}
