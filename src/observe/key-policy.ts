import { misuse } from '../errors.js';
import { readable } from './samples.js';

/** What exporters tell of keys: nothing, the key, a hash of it, or the group that a function puts it into (`'post:*'`). */
export type KeyPolicy = false | true | 'hash' | ((key: string) => string);

/** So many groups are told apart; all further ones are `other`. */
const MOST_GROUPS = 100;

/** The words for keys under `policy`; `undefined` where nothing is told. Never throws. */
export function keyTeller(policy: KeyPolicy): (key: string) => string | undefined {
  switch (policy) {
    case false:
      return () => undefined;
    case true:
      return readable;
    case 'hash':
      return hash;
  }
  if (typeof policy !== 'function') throw misuse('keys', "false, true, 'hash' or a function", policy);
  const groups = new Set<string>();
  return (key) => {
    const group = groupOf(policy, key);
    if (!groups.has(group) && groups.size >= MOST_GROUPS) return 'other';
    groups.add(group);
    return group;
  };
}

function groupOf(policy: (key: string) => string, key: string): string {
  try {
    return readable(policy(key));
  } catch {
    return 'other';
  }
}

/** FNV-1a in 32 bits: tells keys apart in a trace, and is no secret. */
function hash(key: string): string {
  let sum = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) sum = Math.imul(sum ^ key.charCodeAt(index), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
