import { misuse } from '../errors.js';
import type { Feature, HttpFeature } from './settings.js';

/** Checks the option `use`. */
export function checkFeatures(use: readonly HttpFeature[] = []): readonly Feature[] {
  if (!Array.isArray(use) || use.some((one: unknown) => !isFeature(one)))
    throw misuse('use', 'an array of features, such as `byteRanges()`', use);
  return use;
}

/** A function has a name, too: the call of one like `byteRanges` is easily forgotten. */
function isFeature(one: unknown): boolean {
  return typeof one === 'object' && one !== null && 'name' in one && typeof one.name === 'string';
}
